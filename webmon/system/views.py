"""The pages about the system itself, and the answer to health checks."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from webmon.accounts.policies import may_see_rejected, required
from webmon.runs.pages import position
from webmon.system import pages
from webmon.ui.answers import answer, part_wanted
from workflow_manager import selectors

log = logging.getLogger(__name__)


@require_safe
@required(may_see_rejected)
def rejected_list(request: HttpRequest) -> HttpResponse:
    """Messages that could not be handled, newest first."""
    try:
        older_than = position(request.GET.get("before", ""))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
    page = pages.rejected_list_page(older_than, timezone.now())
    part = part_wanted(request) == "rejected"
    template = "system/rejected_rows.html" if part else "system/rejected_list.html"
    return answer(request, template, page)


@require_safe
@required(may_see_rejected)
def rejected(request: HttpRequest, message: int) -> HttpResponse:
    """One of them, whole."""
    found = selectors.rejected_message(message) if message < 2**63 else None
    if found is None:
        raise Http404
    return answer(request, "system/rejected.html", pages.rejected_page(found))


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
