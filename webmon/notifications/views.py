"""Whom to tell of alarms: one's own recipients, and what was told to them."""

import logging
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dasmon_listener import recipients
from dasmon_listener.models import Recipient
from webmon.accounts.policies import may_be_told, may_see_all_notifications, required
from webmon.notifications import pages
from webmon.notifications.forms import RecipientForm
from webmon.runs.pages import position
from webmon.ui.answers import answer, part_wanted

log = logging.getLogger(__name__)

SAVED = "Your changes have been saved."
INVALID = "Your form is invalid. Please modify your entries and re-submit."


@require_safe
@required(may_be_told)
def notifications(request: HttpRequest) -> HttpResponse:
    """The person's recipients and the log of what was told to them; for staff, to all."""
    of_all = request.GET.get("of") == "all"
    if of_all and not may_see_all_notifications(request.user):
        raise PermissionDenied
    try:
        older_than = position(request.GET.get("before", ""))
    except (ValueError, OverflowError) as error:
        raise Http404 from error
    part = part_wanted(request) == "told"
    said = "" if part else " ".join(str(each) for each in messages.get_messages(request))
    page = pages.notifications_page(
        request.user, older_than, timezone.now(), of_all=of_all, said=said
    )
    template = "notifications/log.html" if part else "notifications/notifications.html"
    return answer(request, template, page)


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_be_told)
def new_recipient(request: HttpRequest) -> HttpResponse:
    """A form with what most people want; a POST keeps it."""
    person = cast(User, request.user)
    return _edited(request, Recipient(owner=person, address=person.email))


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_be_told)
def recipient(request: HttpRequest, recipient: int) -> HttpResponse:
    """The form of one of them."""
    return _edited(request, _own(request, recipient))


def _edited(request: HttpRequest, edited: Recipient) -> HttpResponse:
    form = RecipientForm(request.POST or None, instance=edited)
    if request.method != "POST":
        return _form(request, edited, form)
    if not form.is_valid():
        return _form(request, edited, form, problem=INVALID)
    try:
        recipients.save(form.save(commit=False), list(form.cleaned_data["instruments"]))
    except recipients.RecipientRefusedError as refusal:
        form.add_error(refusal.field or None, str(refusal))
        return _form(request, edited, form, problem=INVALID)
    log.info("%s: recipient %d by %s saved", request.user, edited.pk, edited.way)
    messages.success(request, SAVED)
    return redirect("notifications")


def _form(
    request: HttpRequest, edited: Recipient, form: RecipientForm, *, problem: str = ""
) -> HttpResponse:
    page = pages.RecipientPage(edited.pk, problem, pages.zone_now(timezone.now()))
    template = "notifications/recipient.html"
    return answer(request, template, page, status=422 if problem else 200, form=form)


@require_POST
@required(may_be_told)
def test(request: HttpRequest, recipient: int) -> HttpResponse:
    """Ask for a test; the log shows by itself what comes of it."""
    found = _own(request, recipient)
    now = timezone.now()
    try:
        recipients.request_test(found, now)
    except recipients.RecipientRefusedError as refusal:
        page = pages.notifications_page(request.user, None, now, problem=str(refusal))
        return answer(request, "notifications/notifications.html", page, status=409)
    log.info("%s: test of recipient %d", request.user, found.pk)
    messages.success(request, "A test is on its way. The log below shows what comes of it.")
    return redirect("notifications")


@require_POST
@required(may_be_told)
def switch_on(request: HttpRequest, recipient: int) -> HttpResponse:
    return _switched(request, recipient, on=True)


@require_POST
@required(may_be_told)
def switch_off(request: HttpRequest, recipient: int) -> HttpResponse:
    return _switched(request, recipient, on=False)


def _switched(request: HttpRequest, number: int, *, on: bool) -> HttpResponse:
    found = _own(request, number)
    recipients.switch(found, on=on)
    log.info("%s: recipient %d switched %s", request.user, found.pk, "on" if on else "off")
    messages.success(request, SAVED)
    return redirect("notifications")


@require_http_methods(["GET", "HEAD", "POST"])
@required(may_be_told)
def remove(request: HttpRequest, recipient: int) -> HttpResponse:
    """A GET asks first, because what was told to it is removed with it."""
    found = _own(request, recipient)
    if request.method != "POST":
        return answer(request, "notifications/remove.html", pages.card(found))
    log.info("%s: recipient %d removed", request.user, found.pk)
    recipients.remove(found)
    messages.success(request, SAVED)
    return redirect("notifications")


def _own(request: HttpRequest, number: int) -> Recipient:
    person = cast(User, request.user)
    found = recipients.recipient_of(person, number) if number < 2**63 else None
    if found is None:
        raise Http404
    return found
