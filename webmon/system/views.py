"""The pages about the system itself, and the answer to health checks."""

import logging
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from webmon.accounts.policies import (
    may_see_rejected,
    may_see_system,
    may_settle_rejected,
    required,
)
from webmon.runs.pages import position
from webmon.system import pages
from webmon.system.listener import listener_page
from webmon.ui.answers import answer, part_wanted
from workflow_manager import dead_letters, selectors
from workflow_manager.models import RejectedMessage

log = logging.getLogger(__name__)


@require_safe
@required(may_see_system)
def system(request: HttpRequest) -> HttpResponse:
    """How every part is, cause first."""
    page = pages.system_page(timezone.now())
    part = part_wanted(request) == "parts"
    return answer(request, "system/parts.html" if part else "system/system.html", page)


@require_safe
@required(may_see_system)
def listener(request: HttpRequest) -> HttpResponse:
    """How the listener is that writes what instruments report."""
    page = listener_page(timezone.now())
    part = part_wanted(request) == "listener"
    template = "system/listener_parts.html" if part else "system/listener.html"
    return answer(request, template, page)


@require_safe
@required(may_see_system)
def discrepancies(request: HttpRequest) -> HttpResponse:
    """Where files, runs and run numbers disagree."""
    instrument = request.GET.get("instrument", "").replace("\0", "").strip()
    page = pages.discrepancy_page(instrument, timezone.now())
    return answer(request, "system/discrepancies.html", page)


@require_safe
@required(may_see_rejected)
def rejected_list(request: HttpRequest) -> HttpResponse:
    """Messages that could not be handled, newest first: the open ones, or all."""
    try:
        older_than = position(request.GET.get("before", ""))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
    shows_all = request.GET.get("outcome") == "all"
    page = pages.rejected_list_page(older_than, timezone.now(), shows_all=shows_all)
    part = part_wanted(request) == "rejected"
    template = "system/rejected_rows.html" if part else "system/rejected_list.html"
    return answer(request, template, page)


@require_safe
@required(may_see_rejected)
def rejected(request: HttpRequest, message: int) -> HttpResponse:
    """One of them, whole."""
    return answer(request, "system/rejected.html", pages.rejected_page(_message(message)))


@require_POST
@required(may_settle_rejected)
def replay(request: HttpRequest, message: int) -> HttpResponse:
    """Handle it as if it arrived now; with a `body`, that in place of its own."""
    text = request.POST.get("body")
    body = None if text is None else text.encode("utf-8", "surrogatepass")

    def act(found: RejectedMessage, by: str) -> str:
        return dead_letters.replay(found, by, body=body).sentence

    return _settled(request, message, act)


@require_POST
@required(may_settle_rejected)
def replay_like(request: HttpRequest, message: int) -> HttpResponse:
    """Replay all open ones that are bad in the same way."""

    def act(found: RejectedMessage, by: str) -> str:
        done = dead_letters.replay_like(found, by)
        words = f"{done.replayed} replayed, {done.still_open} still open."
        return " ".join([words, *done.reasons])

    return _settled(request, message, act)


@require_POST
@required(may_settle_rejected)
def discard(request: HttpRequest, message: int) -> HttpResponse:
    """Say that nothing is to be done about it, and why."""
    reason = request.POST.get("reason", "").replace("\0", "")

    def act(found: RejectedMessage, by: str) -> str:
        dead_letters.discard(found, by, reason)
        return "Discarded. The message is kept with your reason."

    return _settled(request, message, act)


def _settled(
    request: HttpRequest, number: int, act: Callable[[RejectedMessage, str], str]
) -> HttpResponse:
    """Do it and say what came of it; doing it twice changes nothing, so there is no redirect."""
    found, by = _message(number), request.user.get_username()
    what = request.resolver_match.url_name if request.resolver_match else ""
    try:
        said = act(found, by)
    except dead_letters.DeadLetterError as error:
        log.info("%s: %s %d, refused: %s", by, what, number, error)
        page = pages.rejected_page(_message(number), problem=str(error))
        return answer(request, "system/rejected.html", page, status=409)
    log.info("%s: %s %d: %s", by, what, number, said)
    return answer(request, "system/rejected.html", pages.rejected_page(_message(number), said=said))


def _message(number: int) -> RejectedMessage:
    found = selectors.rejected_message(number) if number < 2**63 else None
    if found is None:
        raise Http404
    return found


@login_not_required
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, else 503; says nothing else to strangers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        log.exception("The database does not answer")
        return HttpResponse("database does not answer", status=503, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
