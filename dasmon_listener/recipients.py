"""Whom people want told: their e-mail addresses and webhooks, and what was told to them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Prefetch, Q, QuerySet

from dasmon_listener.domain.addresses import AddressRefusedError, check_addresses, check_url
from dasmon_listener.domain.quiet_hours import QuietHours
from dasmon_listener.models import DeliveryAttempt, Notification, Recipient
from workflow_manager.models import Instrument
from workflow_manager.services import CHANGES, notify

MOST_PER_PERSON = 20
LONGEST_ESCALATION = timedelta(days=7)
BETWEEN_TESTS = timedelta(seconds=10)


class RecipientRefusedError(Exception):
    """It cannot be like this; the text is a sentence for the person, `field` what it is about."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


@transaction.atomic
def save(recipient: Recipient, instruments: Sequence[Instrument]) -> None:
    """Keep a new or changed recipient, for these instruments; without any, for all.

    Raises:
        RecipientRefusedError: nothing could be sent there, or the person has too many.
    """
    _check_address(recipient)
    _check_times(recipient)
    # The lock makes two requests at once count each other.
    User.objects.select_for_update().get(pk=recipient.owner_id)
    others = Recipient.objects.filter(owner=recipient.owner_id).exclude(pk=recipient.pk)
    if others.count() >= MOST_PER_PERSON:
        raise RecipientRefusedError(
            f"You have {MOST_PER_PERSON} recipients already, and that is the most. "
            "Remove one that you no longer need."
        )
    recipient.save()
    recipient.instruments.set(instruments)


def switch(recipient: Recipient, *, on: bool) -> None:
    """Tell it again, or no more."""
    Recipient.objects.filter(pk=recipient.pk).update(is_enabled=on)


@transaction.atomic
def remove(recipient: Recipient) -> None:
    """Forget it, with the log of what it was told.

    The lock waits for those who write down what to tell it, as their commit would fail otherwise.
    """
    for found in Recipient.objects.select_for_update().filter(pk=recipient.pk):
        found.delete()


@transaction.atomic
def request_test(recipient: Recipient, now: datetime) -> Notification:
    """Put a test into the outbox.

    Raises:
        RecipientRefusedError: the last one is not delivered yet, or was just now.
    """
    Recipient.objects.select_for_update().get(pk=recipient.pk)
    tests = Notification.objects.filter(recipient=recipient, cause=Notification.Cause.TEST)
    is_open = Q(sent_at=None, given_up_at=None)
    if tests.filter(is_open | Q(created_at__gt=now - BETWEEN_TESTS)).exists():
        raise RecipientRefusedError("A test was sent a moment ago. Wait for what came of it.")
    made = Notification.objects.create(
        recipient=recipient, cause=Notification.Cause.TEST, created_at=now, due_at=now
    )
    with connection.cursor() as cursor:
        notify(cursor, CHANGES, [f"notification {recipient.owner_id}"])
    return made


def recipients_of(owner: User) -> list[Recipient]:
    """Those of one person, with their instruments, oldest first."""
    return list(Recipient.objects.filter(owner=owner).prefetch_related("instruments"))


def recipient_of(owner: User, number: int) -> Recipient | None:
    """One of a person's own."""
    return Recipient.objects.filter(owner=owner, pk=number).first()


def told(
    owner: User | None, older_than: tuple[datetime, int] | None, limit: int
) -> list[Notification]:
    """What was told to one person, or (None) to all, newest first, with every try.

    `older_than` is the time and number of the last one that is known.
    """
    found: QuerySet[Notification] = Notification.objects.select_related(
        "recipient__owner", "alarm__instrument"
    ).prefetch_related(Prefetch("deliveries", DeliveryAttempt.objects.order_by("at", "id")))
    if owner is not None:
        found = found.filter(recipient__owner=owner)
    if older_than is not None:
        at, number = older_than
        found = found.filter(created_at__lte=at)
        found = found.filter(Q(created_at__lt=at) | Q(pk__lt=number))
    return list(found.order_by("-created_at", "-id")[:limit])


def _check_address(recipient: Recipient) -> None:
    """What can be told without asking anybody; names are resolved when something is sent."""
    try:
        if recipient.way == Recipient.Way.EMAIL:
            validate_email(recipient.address)
            return
        host = check_url(recipient.address).hostname or ""
        if _is_address(host):
            check_addresses(host, [host], settings.WEBHOOK_ALLOWED_NETWORKS)
    except ValidationError as error:
        sentence = "This is no e-mail address, such as name@example.org."
        raise RecipientRefusedError(sentence, "address") from error
    except AddressRefusedError as error:
        raise RecipientRefusedError(str(error), "address") from error


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _check_times(recipient: Recipient) -> None:
    begin, end, after = recipient.quiet_from, recipient.quiet_until, recipient.escalate_after
    if (begin is None) != (end is None):
        raise RecipientRefusedError("Quiet hours need a beginning and an end.", "quiet_from")
    if (
        begin is not None
        and end is not None
        and QuietHours(begin, end, frozenset(recipient.days)).is_always
    ):
        sentence = "With these quiet hours nothing would ever be sent. Switch it off instead."
        raise RecipientRefusedError(sentence, "quiet_from")
    if after is not None and not timedelta(0) < after <= LONGEST_ESCALATION:
        sentence = f"Between 1 minute and {LONGEST_ESCALATION.days} days."
        raise RecipientRefusedError(sentence, "escalate_after")
