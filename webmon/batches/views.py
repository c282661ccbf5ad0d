"""Ask for a step of many runs, and steer what was asked for."""

import logging
from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webmon.accounts.policies import may_request, may_steer, required
from webmon.batches import pages
from webmon.runs.views import run_filter
from webmon.ui.answers import answer, part_wanted
from workflow_manager import batches, selectors
from workflow_manager.domain.steps import Step
from workflow_manager.models import Batch
from workflow_manager.selectors import RunFilter
from workflow_manager.services import RequestRefusedError

log = logging.getLogger(__name__)


@require_safe
@required(may_request)
def batch_list(request: HttpRequest) -> HttpResponse:
    """What was asked for, newest first, and how far it is."""
    page = pages.batch_list_page(request.user, timezone.now())
    part = part_wanted(request) == "batches"
    return answer(request, "batches/rows.html" if part else "batches/batch_list.html", page)


@require_safe
@required(may_request)
def batch(request: HttpRequest, batch: int) -> HttpResponse:
    """One of them, with what failed."""
    page = pages.batch_page(_batch(batch), request.user, timezone.now())
    part = part_wanted(request) == "batch"
    return answer(request, "batches/progress.html" if part else "batches/batch.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_request)
def new_batch(request: HttpRequest) -> HttpResponse:
    """How many runs it would be; whoever types that number asks for them."""
    values = request.POST if request.method == "POST" else request.GET
    wanted, step = run_filter(values), _step(values.get("step", ""))
    if request.method != "POST":
        return _question(request, pages.new_batch_page(wanted, step))
    return _ask(request, wanted, step)


def _ask(request: HttpRequest, wanted: RunFilter, step: Step | None) -> HttpResponse:
    by, reason = request.user.get_username(), request.POST.get("reason", "").replace("\0", "")
    shown, typed = request.POST.get("runs", ""), request.POST.get("typed", "")
    if not shown or typed.strip().replace(",", "") != shown:
        problem = "The number that you typed is not the number of runs. Nothing was asked for."
        page = pages.new_batch_page(wanted, step, reason=reason, problem=problem)
        return _question(request, page, status=409)
    try:
        made = batches.request_step_of_many(wanted, step, by=by, reason=reason)
    except RequestRefusedError as error:
        page = pages.new_batch_page(wanted, step, reason=reason, problem=str(error))
        return _question(request, page, status=409)
    log.info("%s asked for %s: batch %d, %d runs, %r", by, made, made.id, made.runs, reason)
    return redirect("batch", batch=made.id)


def _question(request: HttpRequest, page: pages.NewBatchPage, *, status: int = 200) -> HttpResponse:
    choices = [(step, pages.step_words(step)) for step in pages.CHOICES]
    return answer(request, "batches/new_batch.html", page, status=status, choices=choices)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_request)
def cancel(request: HttpRequest, batch: int) -> HttpResponse:
    """A GET asks first, because what is cancelled does not come back."""
    found = _steered(request, batch)
    if request.method != "POST":
        page = pages.batch_page(found, request.user, timezone.now())
        return answer(request, "batches/cancel.html", page)
    cancelled = batches.cancel(found.id, request.user.get_username())
    log.info("%s cancelled batch %d: %d jobs", request.user.get_username(), found.id, cancelled)
    return redirect("batch", batch=found.id)


@require_POST
@required(may_request)
def pause(request: HttpRequest, batch: int) -> HttpResponse:
    return _changed(request, batch, batches.pause, "It was not running, so it was not paused.")


@require_POST
@required(may_request)
def resume(request: HttpRequest, batch: int) -> HttpResponse:
    return _changed(request, batch, batches.resume, "It was not paused, so it was not resumed.")


def _changed(
    request: HttpRequest, number: int, change: Callable[[int, str], bool], refusal: str
) -> HttpResponse:
    found, by = _steered(request, number), request.user.get_username()
    if not change(found.id, by):
        return _refused(request, _batch(number), refusal)
    log.info("%s: %s of batch %d", by, change.__name__, found.id)
    return redirect("batch", batch=found.id)


@require_POST
@required(may_request)
def retry(request: HttpRequest, batch: int) -> HttpResponse:
    """What failed is asked for again, as a batch of its own."""
    found, by = _steered(request, batch), request.user.get_username()
    try:
        made = batches.retry_failed(found.id, by)
    except RequestRefusedError as error:
        return _refused(request, found, str(error))
    log.info("%s asked for the failed of batch %d again: batch %d", by, found.id, made.id)
    return redirect("batch", batch=made.id)


def _refused(request: HttpRequest, found: Batch, problem: str) -> HttpResponse:
    page = pages.batch_page(found, request.user, timezone.now(), problem=problem)
    return answer(request, "batches/batch.html", page, status=409)


def _batch(number: int) -> Batch:
    found = selectors.batch_numbered(number) if number < 2**63 else None
    if found is None:
        raise Http404
    return found


def _steered(request: HttpRequest, number: int) -> Batch:
    found = _batch(number)
    if not may_steer(request.user, found.requested_by):
        raise PermissionDenied
    return found


def _step(text: str) -> Step | None:
    if not text:
        return None
    if text not in set(Step):
        raise Http404
    return Step(text)
