"""Pages about an instrument now: authorise, read the address, build the value, answer."""

import logging
from collections.abc import Callable, Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from dasmon_listener import selectors
from dasmon_listener.monitored import choose_pvs
from dasmon_listener.overview import Equipped, equipped_instrument
from webmon.accounts.policies import may_see_runs, may_tend, required
from webmon.runs.pages import position, run_list
from webmon.status import pages, replaced
from webmon.status.choosing import CHANGES
from webmon.ui.answers import answer, part_wanted
from workflow_manager.models import Instrument
from workflow_manager.selectors import Position, RunFilter

log = logging.getLogger(__name__)


@require_safe
@required(may_see_runs)
def status(request: HttpRequest, instrument: str) -> HttpResponse:
    """An instrument now: does it record, at what rate, what is wrong."""
    found, now = _equipped(instrument), timezone.now()
    part, older_than = part_wanted(request), _older_than(request)
    if part == "live":
        return answer(request, "status/live.html", pages.live_part(found, now))
    if part == "runs":
        wanted = RunFilter(instrument=found.instrument.name)
        return answer(request, "runs/rows.html", run_list(wanted, older_than, now))
    tends = may_tend(request.user, found.instrument.name)
    page = pages.status_page(found, older_than, now, may_tend=tends)
    return answer(request, "status/status.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_see_runs)
def chosen_pvs(request: HttpRequest, instrument: str) -> HttpResponse:
    """Which PVs the instrument's page shows, and in which order."""
    found = _equipped(instrument)
    if not may_tend(request.user, found.instrument.name):
        raise PermissionDenied
    if request.method == "POST":
        return _choose(request, found.instrument)
    page = pages.pvs_page(found, _word(request.GET.get("q", "")), timezone.now())
    part = part_wanted(request) == "found"
    return answer(request, "status/found.html" if part else "status/pvs.html", page)


def _choose(request: HttpRequest, instrument: Instrument) -> HttpResponse:
    """Each button says what it does by its name, and to which PV by its value."""
    for act, change in CHANGES.items():
        name = _word(request.POST.get(act, ""))
        if name:
            names = _chosen(instrument, name, change)
            by = request.user.get_username()
            log.info("%s: %s %r on the page of %s: %s", by, act, name, instrument, names)
    text = _word(request.POST.get("q", ""))
    address = reverse("chosen PVs", args=[instrument.name])
    return redirect(f"{address}?{urlencode({'q': text})}" if text else address)


@transaction.atomic
def _chosen(
    instrument: Instrument, name: str, change: Callable[[Sequence[str], str], list[str]]
) -> list[str]:
    """Two people at once change one after the other, so that neither undoes the other's wish."""
    Instrument.objects.select_for_update().get(pk=instrument.pk)
    before = [each.name for each in selectors.monitored_pvs(instrument)]
    after = change(before, name)
    if after != before:
        choose_pvs(instrument, after)
    return after


@require_safe
@required(may_see_runs)
def runs(request: HttpRequest, instrument: str) -> HttpResponse:
    return redirect("runs", instrument=_equipped(instrument).instrument.name)


@require_safe
@required(may_see_runs)
def diagnostics(request: HttpRequest, instrument: str) -> HttpResponse:
    """What the replaced system showed on a page of its own is a part of the status."""
    address = reverse("status", args=[_equipped(instrument).instrument.name])
    return redirect(f"{address}#components")


@require_safe
@required(may_see_runs)
def signals(request: HttpRequest, instrument: str) -> HttpResponse:
    """Alarms and chosen PVs as rows of a table, for programs that know the replaced system."""
    part = pages.live_part(_equipped(instrument), timezone.now())
    return answer(request, "status/signals.html", part)


@require_safe
@required(may_see_runs)
def summary_update(request: HttpRequest) -> HttpResponse:
    return JsonResponse(replaced.facility(timezone.now()))


@require_safe
@required(may_see_runs)
def dashboard_update(request: HttpRequest) -> HttpResponse:
    has_rates = "plots" in request.GET
    return JsonResponse(replaced.facility(timezone.now(), has_rates=has_rates))


@require_safe
@required(may_see_runs)
def instrument_update(request: HttpRequest, instrument: str) -> HttpResponse:
    found = _equipped(instrument)
    return JsonResponse(replaced.instrument(found, request.GET, timezone.now()))


def _equipped(name: str) -> Equipped:
    found = equipped_instrument(_word(name))
    if found is None:
        raise Http404
    return found


def _word(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()


def _older_than(request: HttpRequest) -> Position | None:
    try:
        return position(request.GET.get("before", ""))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
