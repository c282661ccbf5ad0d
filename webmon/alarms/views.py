"""Pages about alarms: what needs somebody, what is handled, one alarm, what has been."""

import logging

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dasmon_listener import alarm_details, alarm_lists, alarms
from dasmon_listener.alarm_lists import AlarmFilter
from dasmon_listener.models import Alarm
from webmon.accounts.policies import may_answer_for, may_see_runs, may_tend, person, required
from webmon.alarms import pages
from webmon.alarms.shelving import CHOICES, ShelfTimeError, shelf_end
from webmon.ui.answers import answer, part_wanted
from workflow_manager import selectors
from workflow_manager.models import Instrument

log = logging.getLogger(__name__)

LARGEST = 2**63
MOST_AT_ONCE = 1000
NONE_TICKED = "No alarm is ticked. Tick those that you mean, then try again."


@require_safe
@required(may_see_runs)
def alarm_list(request: HttpRequest) -> HttpResponse:
    """What needs somebody, and what is handled."""
    page = pages.alarm_list_page(_filter(request), request.user, timezone.now())
    return _list(request, page)


def _list(request: HttpRequest, page: pages.AlarmListPage, *, status: int = 200) -> HttpResponse:
    part = part_wanted(request) == "alarms"
    return answer(
        request,
        "alarms/parts.html" if part else "alarms/alarm_list.html",
        page,
        status=status,
        instruments=pages.instruments_of(page.roll_up, page.filter.instrument),
        levels=pages.LEVELS,
        origins=pages.ORIGINS,
        times=CHOICES,
    )


@require_safe
@required(may_see_runs)
def count(request: HttpRequest) -> HttpResponse:
    """The number in the top bar, by itself."""
    needing = alarm_lists.needing()
    return render(request, "alarms/count.html", {"needing": needing})


@require_safe
@required(may_see_runs)
def alarm(request: HttpRequest, alarm: int) -> HttpResponse:
    """One of them: what it is, what was done, whom it was told."""
    page = pages.alarm_page(_alarm(alarm), request.user, timezone.now())
    part = part_wanted(request) == "alarm"
    return answer(request, "alarms/told.html" if part else "alarms/alarm.html", page, times=CHOICES)


@require_safe
@required(may_see_runs)
def history(request: HttpRequest) -> HttpResponse:
    """All alarms that there were, newest first."""
    name = _text(request.GET.get("instrument", ""))
    instrument = _instrument(name) if name else None
    before = request.GET.get("before", "")
    older_than = _alarm(_number(before)) if before else None
    page = pages.history_page(instrument, older_than, request.user, timezone.now())
    names = [each.name for each in selectors.instruments()]
    return answer(request, "alarms/history.html", page, instruments=names)


@require_POST
@required(may_see_runs)
def acknowledge(request: HttpRequest) -> HttpResponse:
    """Answer for one alarm or several, with a comment."""
    by, comment = person(request), _text(request.POST.get("comment", ""))
    found = _answered_for(request)
    if not found:
        return _refused(request, found, NONE_TICKED)
    waiting = [one for one in found if one.acknowledged_at is None and one.closed_at is None]
    with transaction.atomic():
        for one in waiting:
            alarms.acknowledge(one, by, comment)
    log.info("%s acknowledged %s: %r", by, [one.id for one in waiting], comment)
    messages.success(request, _acknowledged(found, waiting))
    return _back(request, found)


def _acknowledged(found: list[Alarm], waiting: list[Alarm]) -> str:
    said = f"{_alarms(len(waiting))} acknowledged."
    others = len(found) - len(waiting)
    return f"{said} {_alarms(others)} had been settled before." if others else said


def _alarms(number: int) -> str:
    return "1 alarm" if number == 1 else f"{number} alarms"


@require_POST
@required(may_see_runs)
def shelve(request: HttpRequest) -> HttpResponse:
    """Tell nobody of the alarms of these names until a time."""
    by, because = person(request), _text(request.POST.get("comment", ""))
    found = _answered_for(request)
    if not found:
        return _refused(request, found, NONE_TICKED)
    if not because:
        return _refused(request, found, "Why on the shelf? Write a reason; others will read it.")
    try:
        choice, date = request.POST.get("until", ""), request.POST.get("date", "")
        until = shelf_end(choice, date, timezone.now())
        with transaction.atomic():
            for one in found:
                alarms.shelve(one.instrument, one.name, until, by, because)
    except (ShelfTimeError, alarms.AlarmRefusedError) as error:
        return _refused(request, found, str(error))
    log.info("%s shelved %s until %s: %r", by, [one.id for one in found], until, because)
    messages.success(request, f"{_alarms(len(found))} put on a shelf.")
    return _back(request, found)


@require_POST
@required(may_see_runs)
def unshelve(request: HttpRequest) -> HttpResponse:
    """Tell of the alarms of this name again."""
    instrument = _instrument(_text(request.POST.get("instrument", "")))
    if not may_answer_for(request.user, instrument.name):
        raise PermissionDenied
    name = _text(request.POST.get("name", ""))
    if alarm_details.alarm_setting(instrument, name) is None:
        raise Http404
    alarms.unshelve(instrument, name, person(request))
    log.info("%s took %s of %s from the shelf", request.user, name, instrument)
    messages.success(request, f"{name} of {instrument.name.upper()} is no longer on a shelf.")
    back = request.POST.get("back", "")
    return redirect("alarm", alarm=_number(back)) if back else redirect(_list_address(request))


@require_POST
@required(may_see_runs)
def describe(request: HttpRequest, alarm: int) -> HttpResponse:
    """Say what to do about alarms of this name, and whether they stay when they are over."""
    found = _alarm(alarm)
    if not may_tend(request.user, found.instrument.name):
        raise PermissionDenied
    alarms.describe(
        found.instrument,
        found.name,
        guidance=_text(request.POST.get("guidance", "")),
        is_latched=request.POST.get("is_latched") == "on",
        by=person(request),
    )
    log.info("%s described %s", request.user, found)
    messages.success(request, "Saved for all alarms of this name.")
    return redirect("alarm", alarm=found.id)


@require_POST
@required(may_see_runs)
def close(request: HttpRequest, alarm: int) -> HttpResponse:
    """End an alarm that nothing else will end: its sender, or the silent component, is gone."""
    found = _alarm(alarm)
    if not may_tend(request.user, found.instrument.name):
        raise PermissionDenied
    because = _text(request.POST.get("because", ""))
    if not because:
        return _refused(request, [found], "Why does it end? Write a reason.")
    try:
        _end(request, found, because)
    except alarms.AlarmRefusedError as error:
        return _refused(request, [found], str(error))
    log.info("%s ended %s (%d): %r", request.user, found, found.id, because)
    messages.success(request, "The alarm has ended.")
    return redirect("alarm", alarm=found.id)


def _end(request: HttpRequest, found: Alarm, because: str) -> None:
    component = alarm_details.silent_component(found)
    if component is None:
        alarms.close(found, person(request), because)
    else:
        alarms.forget_component(component)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_see_runs)
def acknowledge_signal(request: HttpRequest, instrument: str, signal: int) -> HttpResponse:
    """The address at which the replaced system removed a signal: a GET only asks."""
    found = _alarm(signal)
    if found.instrument != _instrument(instrument):
        raise Http404
    if not may_answer_for(request.user, found.instrument.name):
        raise PermissionDenied
    if request.method == "POST":
        return _acknowledge_one(request, found)
    page = pages.alarm_page(found, request.user, timezone.now())
    return answer(request, "alarms/acknowledge.html", page)


def _acknowledge_one(request: HttpRequest, found: Alarm) -> HttpResponse:
    """Acknowledge it with the form's comment, and go back to its page."""
    if found.acknowledged_at is None and found.closed_at is None:
        comment = _text(request.POST.get("comment", ""))
        alarms.acknowledge(found, person(request), comment)
        log.info("%s acknowledged %s: %r", request.user, [found.id], comment)
    return redirect("alarm", alarm=found.id)


def _answered_for(request: HttpRequest) -> list[Alarm]:
    """The alarms that the form names: that of the button in a row, or those that are ticked."""
    only = request.POST.get("only")
    named = [only] if only else request.POST.getlist("alarm")
    numbers = [_number(text) for text in named[:MOST_AT_ONCE]]
    found = alarm_details.alarms_numbered(numbers)
    if not _may_answer_for_all(request, found):
        raise PermissionDenied
    return found


def _may_answer_for_all(request: HttpRequest, found: list[Alarm]) -> bool:
    """Whether the person may answer for each of them."""
    names = {one.instrument.name for one in found}
    return all(may_answer_for(request.user, name) for name in names)


def _refused(request: HttpRequest, found: list[Alarm], problem: str) -> HttpResponse:
    """The page that the form was on, with the sentence and what was typed."""
    now, comment = timezone.now(), _text(request.POST.get("comment", ""))
    if found and ("back" in request.POST or "because" in request.POST):
        one = pages.alarm_page(found[0], request.user, now, problem=problem, comment=comment)
        return answer(request, "alarms/alarm.html", one, status=409, times=CHOICES)
    wanted = _filter(request)
    page = pages.alarm_list_page(wanted, request.user, now, problem=problem, comment=comment)
    return _list(request, page, status=409)


def _back(request: HttpRequest, found: list[Alarm]) -> HttpResponse:
    if request.POST.get("back"):
        return redirect("alarm", alarm=found[0].id)
    return redirect(_list_address(request))


def _list_address(request: HttpRequest) -> str:
    """The list with the filter that the form's address carries."""
    query = request.GET.urlencode()
    return reverse("alarms") + (f"?{query}" if query else "")


def _filter(request: HttpRequest) -> AlarmFilter:
    level, origin = request.GET.get("level", ""), request.GET.get("origin", "")
    return AlarmFilter(
        instrument=_text(request.GET.get("instrument", "")).lower(),
        level=level if level in pages.LEVELS else "",
        origin=origin if origin in Alarm.Origin.values else "",
    )


def _alarm(number: int) -> Alarm:
    found = alarm_details.alarm_numbered(number) if number < LARGEST else None
    if found is None:
        raise Http404
    return found


def _instrument(name: str) -> Instrument:
    found = selectors.instrument_named(_text(name))
    if found is None:
        raise Http404
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


def _text(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()
