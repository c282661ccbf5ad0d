"""Pages about runs: authorise, read the address, build the value, answer."""

import logging

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from webmon.accounts.policies import may_request, may_see_runs, required
from webmon.runs import pages, searching
from webmon.runs.wishes import WISHES, Wish
from webmon.ui.answers import answer, part_wanted
from webmon.ui.middleware import HEADER, PLOT_POLICY
from workflow_manager import selectors, services
from workflow_manager.domain.states import RunState
from workflow_manager.models import Run
from workflow_manager.selectors import Position, RunFilter

log = logging.getLogger(__name__)


@require_safe
@required(may_see_runs)
def home(request: HttpRequest) -> HttpResponse:
    """The facility: a tile for each instrument, what we know, and the latest runs."""
    now = timezone.now()
    wanted, older_than = _filter(request), _older_than(request)
    part = part_wanted(request)
    if part == "now":
        return answer(request, "runs/now.html", pages.now_part(now))
    if part == "runs":
        return answer(request, "runs/rows.html", pages.run_list(wanted, older_than, now))
    page = pages.home_page(wanted, older_than, now)
    return answer(request, "runs/home.html", page, states=tuple(RunState))


@require_safe
@required(may_see_runs)
def run_list(request: HttpRequest, instrument: str = "") -> HttpResponse:
    """Runs of one instrument, or of all."""
    if instrument and selectors.instrument_named(instrument) is None:
        raise Http404
    now = timezone.now()
    wanted, older_than = _filter(request, instrument), _older_than(request)
    if part_wanted(request) == "runs":
        return answer(request, "runs/rows.html", pages.run_list(wanted, older_than, now))
    page = pages.run_list_page(wanted, older_than, now)
    return answer(request, "runs/run_list.html", page, states=tuple(RunState))


@require_safe
@required(may_see_runs)
def run(request: HttpRequest, instrument: str, number: int) -> HttpResponse:
    """One run: verdict, steps, plot, errors, attempts, events."""
    found, now = _run(instrument, number), timezone.now()
    part, attempts_before = part_wanted(request), _older_than(request, "attempts")
    if part == "attempts":
        value = pages.attempts_part(found, attempts_before, now)
        return answer(request, "runs/attempts.html", value)
    page = pages.run_page(
        found,
        _older_than(request),
        now,
        attempts_before=attempts_before,
        may_request=may_request(request.user),
    )
    template = _RUN_PARTS.get(part, "runs/run.html")
    response = answer(request, template, page, wishes=WISHES)
    response.headers[HEADER] = PLOT_POLICY
    return response


_RUN_PARTS = {"progress": "runs/progress.html", "events": "runs/events.html"}


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_request)
def request_step(request: HttpRequest, instrument: str, number: int, wish: Wish) -> HttpResponse:
    """Ask for a step again: a GET only puts the question."""
    found = _run(instrument, number)
    if request.method != "POST":
        return answer(request, "runs/request.html", pages.request_page(found, wish))
    return _ask(request, found, wish)


def _ask(request: HttpRequest, found: Run, wish: Wish) -> HttpResponse:
    by, reason = request.user.get_username(), _word(request.POST.get("reason", ""))
    try:
        services.request_step(found, wish.step, by=by, reason=reason)
    except services.RequestRefusedError as error:
        page = pages.request_page(found, wish, reason=reason, problem=str(error))
        log.info("%s asked for %s of %s, refused: %s", by, wish.address, found, error)
        return answer(request, "runs/request.html", page, status=409)
    log.info("%s asked for %s of %s: %r", by, wish.address, found, reason)
    address = reverse("run", args=[found.instrument.name, found.number])
    return redirect(f"{address}#attempts-title")


def _run(instrument: str, number: int) -> Run:
    found = selectors.run_of(instrument, number) if number <= pages.LARGEST_NUMBER else None
    if found is None:
        raise Http404
    return found


@require_safe
@required(may_see_runs)
def search(request: HttpRequest) -> HttpResponse:
    """Go where the search words point."""
    text = request.GET.get("q", "")
    found = searching.find(text)
    if found.address:
        return redirect(found.address)
    return answer(request, "runs/search.html", found)


def _filter(request: HttpRequest, instrument: str = "") -> RunFilter:
    return run_filter(request.GET, instrument)


def run_filter(values: QueryDict, instrument: str = "") -> RunFilter:
    """Which runs an address or a form names; `instrument` if its path does."""
    state = values.get("state", "")
    return RunFilter(
        instrument=_word(instrument or values.get("instrument", "")),
        state=RunState(state) if state in set(RunState) else None,
        proposal=_word(values.get("proposal", "")),
    )


def _word(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()


def _older_than(request: HttpRequest, name: str = "before") -> Position | None:
    try:
        return pages.position(request.GET.get(name, ""))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
