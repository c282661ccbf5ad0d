"""The explorer of PVs and status values: its page, and what the page asks for."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    QueryDict,
)
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from dasmon_listener import selectors as values
from dasmon_listener.overview import equipped_instrument
from webmon.accounts.policies import may_see_runs, may_tend, required
from webmon.pvs import pages, replaced
from webmon.pvs.curves import Stopwatch, drawing
from webmon.pvs.downloads import download, excerpt
from webmon.pvs.questions import PARAMETERS, Question, QuestionError, names, question
from webmon.pvs.ranges import RangeError
from webmon.ui.answers import answer, part_wanted
from webmon.ui.middleware import HEADER, PLOT_POLICY
from workflow_manager import selectors
from workflow_manager.models import Instrument

log = logging.getLogger(__name__)

SUGGESTED = 50
LONGEST_PART = 200


@require_safe
@required(may_see_runs)
def explorer(request: HttpRequest, instrument: str) -> HttpResponse:
    """Choose values and a time, see them drawn; below, all PVs of the instrument."""
    found = _instrument(instrument)
    asked, problem = _asked(request.GET)
    if not asked.range.is_exact:
        # A form tells the facility's time; addresses are to mean the same for everybody.
        return redirect(f"{reverse('pvs', args=[found.name])}?{pages.absolute_query(asked)}")
    listed = pages.value_list(found, asked, *_part(request))
    if part_wanted(request) == "values":
        return answer(request, "pvs/values.html", listed)
    tends = may_tend(request.user, found.name)
    page = pages.explorer_page(
        found, asked, listed, timezone.now(), may_tend=tends, problem=problem
    )
    response = answer(request, "pvs/explorer.html", page, status=400 if problem else 200)
    response.headers[HEADER] = PLOT_POLICY
    return response


@require_safe
@required(may_see_runs)
def series(request: HttpRequest, instrument: str) -> HttpResponse:
    """The chosen values over the time asked for, as JSON; how long it took in `Server-Timing`."""
    watch = Stopwatch()
    found = _instrument(instrument)
    try:
        asked = question(request.GET, timezone.now())
    except (QuestionError, RangeError) as error:
        return JsonResponse({"problem": str(error)}, status=400)
    response = HttpResponse(drawing(found, asked, watch), content_type="application/json")
    response.headers["Server-Timing"] = watch.header()
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_safe
@required(may_see_runs)
def name_list(request: HttpRequest, instrument: str) -> HttpResponse:
    """Names of PVs and status values with `part` in them, as JSON, for the picker."""
    part = _word(request.GET.get("part", ""))
    known = values.known_names(_instrument(instrument), part, SUGGESTED + 1)
    shown = [
        {"name": each.name, "parameter": PARAMETERS[each.kind], "at": each.at}
        for each in known[:SUGGESTED]
    ]
    response = JsonResponse({"names": shown, "has_more": len(known) > SUGGESTED})
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_safe
@required(may_see_runs)
def export(request: HttpRequest, instrument: str, form: str) -> HttpResponseBase:
    """The samples themselves, or their minutes or hours, as a file."""
    found = _instrument(instrument)
    try:
        asked = question(request.GET, timezone.now())
        wanted = excerpt(found, asked, request.GET)
    except (QuestionError, RangeError) as error:
        return JsonResponse({"problem": str(error)}, status=400)
    by, names = request.user.get_username(), ", ".join(wanted.names)
    log.info("%s: %s of %s from %s as %s", by, names, found, wanted.begin, form)
    return download(request, wanted, form)


@login_not_required
@require_safe
def update(request: HttpRequest, instrument: str) -> HttpResponseBase:
    """For programs that know the replaced system: without an account no page but a bare 401."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return _update(request, instrument)


@required(may_see_runs)
def _update(request: HttpRequest, instrument: str) -> HttpResponse:
    found = equipped_instrument(_word(instrument))
    if found is None:
        raise Http404
    response = JsonResponse(replaced.pvs(found, request.GET.dict(), timezone.now()))
    patch_cache_control(response, private=True, no_cache=True)
    response.headers["Connection"] = "close"
    return response


def _asked(query: QueryDict) -> tuple[Question, str]:
    """What is asked for, or as much of it as can be followed and the reason for the rest."""
    now = timezone.now()
    try:
        return question(query, now), ""
    except (QuestionError, RangeError) as error:
        problem = str(error)
    usual = question(QueryDict(), now)
    try:
        return Question(names(query), usual.range, usual.points), problem
    except QuestionError:
        return usual, problem


def _part(request: HttpRequest) -> tuple[str, str]:
    return _word(request.GET.get("part", "")), request.GET.get("after", "").replace("\0", "")


def _word(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()[:LONGEST_PART]


def _instrument(name: str) -> Instrument:
    found = selectors.instrument_named(name.replace("\0", ""))
    if found is None:
        raise Http404
    return found
