"""Values of the page about notifications."""

import datetime as dt
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.utils import timezone

from dasmon_listener import recipients
from dasmon_listener.domain.levels import Level
from dasmon_listener.models import DeliveryAttempt, Notification, Recipient
from webmon.accounts import policies
from webmon.notifications.forms import DAYS
from workflow_manager.selectors import Position

ROWS = 25
_CAUSES = {
    Notification.Cause.RAISED: "raised",
    Notification.Cause.ESCALATED: "not acknowledged",
    Notification.Cause.OVER: "over",
    Notification.Cause.TEST: "test",
    Notification.Cause.MANY: "many at once",
}


@dataclass(frozen=True, slots=True)
class RecipientCard:
    """One recipient in words; `instruments` is empty for all of them."""

    id: int
    way: str
    address: str
    is_enabled: bool
    instruments: tuple[str, ...]
    level: str
    quiet: str
    escalation: str
    wants_over: bool


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One try and the whole of what the other side said."""

    at: dt.datetime
    is_success: bool
    took: dt.timedelta
    answer: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One notification: what it says, to whom, and how far it is in a word and a sentence.

    `alarm_id` is None for a test. `next_at` is when it is tried (again), while it waits.
    """

    id: int
    cause: str
    instrument: str
    alarm: str
    alarm_id: int | None
    owner: str
    way: str
    address: str
    created_at: dt.datetime
    state: str
    why: str
    next_at: dt.datetime | None
    attempts: tuple[AttemptLine, ...]


@dataclass(frozen=True, slots=True)
class NotificationsPage:
    """`of_all` if the log is that of everybody; then there are no cards."""

    of_all: bool
    may_see_all: bool
    cards: tuple[RecipientCard, ...]
    may_add: bool
    most: int
    log: tuple[LogRow, ...]
    is_first_part: bool
    older: str
    zone: str
    said: str
    problem: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RecipientPage:
    """The form of one recipient; the fields themselves are the template's `form`."""

    id: int | None
    problem: str
    zone: str


def notifications_page(
    person: policies.User,
    older_than: Position | None,
    now: dt.datetime,
    *,
    of_all: bool = False,
    said: str = "",
    problem: str = "",
) -> NotificationsPage:
    owner = cast(User, person)
    after = (older_than.at, older_than.id) if older_than else None
    found = recipients.told(None if of_all else owner, after, ROWS + 1)
    own = [] if of_all else recipients.recipients_of(owner)
    last = found[ROWS - 1] if len(found) > ROWS else None
    return NotificationsPage(
        of_all=of_all,
        may_see_all=policies.may_see_all_notifications(person),
        cards=tuple(map(card, own)),
        may_add=len(own) < recipients.MOST_PER_PERSON,
        most=recipients.MOST_PER_PERSON,
        log=tuple(_log_row(row, owner) for row in found[:ROWS]),
        is_first_part=older_than is None,
        older=f"{last.created_at.isoformat()}~{last.pk}" if last else "",
        zone=zone_now(now),
        said=said,
        problem=problem,
        read_at=now,
    )


def zone_now(now: dt.datetime) -> str:
    return timezone.localtime(now).strftime("%Z")


def card(recipient: Recipient) -> RecipientCard:
    return RecipientCard(
        id=recipient.pk,
        way=Recipient.Way(recipient.way).label,
        address=recipient.address,
        is_enabled=recipient.is_enabled,
        instruments=tuple(str(each) for each in recipient.instruments.all()),
        level=_level_words(recipient.minimum_level),
        quiet=_quiet_words(recipient),
        escalation=_escalation_words(recipient.escalate_after),
        wants_over=recipient.wants_over,
    )


def _level_words(number: int) -> str:
    level = Level(number)
    return "fatal only" if level is Level.FATAL else f"{level.word} and worse"


def _quiet_words(recipient: Recipient) -> str:
    """`22:00 to 07:00, on Saturday, Sunday`; empty if there are none."""
    begin, end = recipient.quiet_from, recipient.quiet_until
    if begin is None or end is None:
        return ""
    hours = "all day" if begin == end == dt.time(0) else f"{begin:%H:%M} to {end:%H:%M}"
    days = ", ".join(DAYS[day] for day in sorted(recipient.days))
    return f"{hours}, on {days}" if days else hours


def _escalation_words(after: dt.timedelta | None) -> str:
    return "" if after is None else f"{after / dt.timedelta(minutes=1):g} min"


def _log_row(row: Notification, reader: User) -> LogRow:
    is_secret = row.recipient.way != Recipient.Way.EMAIL
    is_whole = policies.may_read_answer(reader, row.recipient.owner_id, is_secret=is_secret)
    tries = tuple(_attempt(each, is_whole) for each in row.deliveries.all())
    state = _state(row)
    return LogRow(
        id=row.pk,
        cause=_CAUSES[Notification.Cause(row.cause)],
        instrument=row.alarm.instrument.name if row.alarm else "",
        alarm=row.alarm.name if row.alarm else "",
        alarm_id=row.alarm_id,
        owner=row.recipient.owner.get_username(),
        way=Recipient.Way(row.recipient.way).label,
        address=_address(row.recipient, reader),
        created_at=row.created_at,
        state=state,
        why=_why(row, state, tries),
        next_at=row.due_at if state == "waiting" else None,
        attempts=tries,
    )


def _attempt(tried: DeliveryAttempt, is_whole: bool) -> AttemptLine:
    answer = tried.answer if is_whole else tried.answer.partition(": ")[0]
    return AttemptLine(tried.at, tried.is_success, tried.took, answer)


def _state(row: Notification) -> str:
    if row.sent_at is not None:
        return "sent"
    if row.dropped_because:
        return "skipped"
    return "waiting" if row.given_up_at is None else "failed"


def _why(row: Notification, state: str, tries: tuple[AttemptLine, ...]) -> str:
    """The sentence beside the state: why not, or the first line of the newest answer."""
    if state == "skipped":
        return row.dropped_because
    if tries:
        return tries[-1].answer.partition("\n")[0]
    if state == "waiting" and row.due_at > row.created_at:
        return "Postponed: quiet hours, many at once, or the alarm comes and goes."
    return ""


def _address(recipient: Recipient, reader: User) -> str:
    """The own address whole; of others the host only, because a webhook's path is its password."""
    if recipient.way == Recipient.Way.EMAIL or recipient.owner_id == reader.pk:
        return recipient.address
    return urlsplit(recipient.address).hostname or ""
