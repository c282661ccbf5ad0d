"""What our own pages ask about plots; only for people who may see pages."""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_safe

from livedata import selectors
from livedata.answers import not_modified, stored_as, tagged
from livedata.domain.addresses import number
from livedata.domain.figure import NoFigureError, figures

# Part of the tag of a figure: to be raised when `figures` reads the same text differently.
READING = 1


def _for_readers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse (403) whom the policy named by `LIVEDATA_PAGE_POLICY` does not allow.

    Policies belong to the pages, which this package does not know.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not import_string(settings.LIVEDATA_PAGE_POLICY)(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@_for_readers
def history(request: HttpRequest, instrument: str, run: str) -> HttpResponse:
    """The kept plots of a run, newest first, as a JSON list of index, at, kind and size."""
    run_number = number(run)
    entries = [] if run_number is None else selectors.history(instrument, run_number)
    values = [
        {"index": entry.index, "at": entry.at, "kind": entry.kind, "size": entry.size}
        for entry in entries
    ]
    return JsonResponse(values, safe=False)


@require_safe
@_for_readers
def message(request: HttpRequest, instrument: str, run: str, index: str) -> HttpResponse:
    """One plot of the history as it was uploaded."""
    found = _message(instrument, run, index)
    if found is None:
        return _missing(instrument, run)
    return not_modified(request, found.tag) or tagged(stored_as(found), found.tag)


@require_safe
@_for_readers
def figure(request: HttpRequest, instrument: str, run: str) -> HttpResponse:
    """The Plotly figures of the newest plot, or of the one with `?index=`."""
    found = _message(instrument, run, request.GET.get("index", ""))
    if found is None:
        return _missing(instrument, run)
    tag = f'"figure-{READING}-{found.stream_id}-{found.index}"'
    return not_modified(request, tag) or tagged(_figures(found), tag)


def _figures(found: selectors.Message) -> HttpResponse:
    try:
        drawn = figures(found.content.decode("utf-8", "replace"))
    except NoFigureError as error:
        return JsonResponse({"index": found.index, "reason": str(error)}, status=404)
    return JsonResponse(
        {"index": found.index, "at": found.at, "figures": [asdict(one) for one in drawn]},
        json_dumps_params={"separators": (",", ":"), "allow_nan": False},
    )


def _missing(instrument: str, run: str) -> HttpResponse:
    return JsonResponse({"reason": f"No data available for {instrument} {run}"}, status=404)


def _message(instrument: str, run: str, index: str) -> selectors.Message | None:
    run_number = number(run)
    if run_number is None:
        return None
    if index == "":
        return selectors.newest(instrument, run_number)
    wanted = number(index)
    return None if wanted is None else selectors.message(instrument, run_number, wanted)
