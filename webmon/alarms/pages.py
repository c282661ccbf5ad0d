"""Values of the pages about alarms."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlencode

from dasmon_listener import alarm_details, alarm_lists
from dasmon_listener.alarm_lists import AlarmFilter, OpenAlarms, ShownAlarm
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import (
    Alarm,
    AlarmEvent,
    AlarmSetting,
    DeliveryAttempt,
    Notification,
    Recipient,
)
from webmon.accounts.policies import (
    User,
    may_answer_for,
    may_answer_for_some,
    may_read_answer,
    may_tend,
)
from workflow_manager.models import Instrument

SHOWN = 100
HISTORY = 50
FORMER = 10
ORIGINS = tuple((origin.value, origin.label) for origin in Alarm.Origin)
_PLOT_PARAMETERS = {Kind.PV: "pv", Kind.STATUS_VALUE: "value"}
LEVELS = tuple(level.word for level in reversed(Level))


@dataclass(frozen=True, slots=True)
class Shelf:
    """Until when nobody is told, who said so and why."""

    instrument: str
    name: str
    until: dt.datetime
    by: str
    because: str
    may_answer: bool


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm in a list; `over_at` if it stays although its cause is gone."""

    id: int
    level: str
    instrument: str
    name: str
    origin: str
    source: str
    message: str
    raised_at: dt.datetime
    repeated_at: dt.datetime
    repeats: int
    over_at: dt.datetime | None
    lasted: dt.timedelta | None
    closed_at: dt.datetime | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str
    comment: str
    guidance: str
    shelf: Shelf | None
    may_answer: bool


@dataclass(frozen=True, slots=True)
class RollUp:
    """All open alarms of an instrument in one look; `needing` are those that wait for somebody."""

    instrument: str
    count: int
    needing: int
    level: str


@dataclass(frozen=True, slots=True)
class AlarmListPage:
    """Worst first, at most `SHOWN` of each; `count_needing` and `count_handled` are all of them.

    `shelved` are names on a shelf that have no open alarm now.
    """

    filter: AlarmFilter
    roll_up: tuple[RollUp, ...]
    needing: tuple[AlarmRow, ...]
    count_needing: int
    handled: tuple[AlarmRow, ...]
    count_handled: int
    shelved: tuple[Shelf, ...]
    may_answer: bool
    problem: str
    comment: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """A line of an alarm's history."""

    at: dt.datetime
    what: str
    by: str
    words: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try to deliver, and what the other side said."""

    at: dt.datetime
    is_success: bool
    took: dt.timedelta
    answer: str


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """Whom the alarm was told and how; addresses of webhooks are secrets and not shown."""

    cause: str
    owner: str
    way: str
    state: str
    created_at: dt.datetime
    due_at: dt.datetime
    sent_at: dt.datetime | None
    dropped_because: str
    attempts: tuple[AttemptRow, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """A PV or status value, and the address of its plot."""

    kind: str
    name: str
    plot: str


@dataclass(frozen=True, slots=True)
class End:
    """How people end an alarm that nothing else will end, in the words of its form."""

    summary: str
    what: str
    button: str


ENDS = {
    Alarm.Origin.SIGNAL: End(
        "Its sender is gone",
        "For a signal that nobody will retract. If it is asserted again it is a new alarm.",
        "Close the alarm",
    ),
    Alarm.Origin.SILENCE: End(
        "The component is gone for good",
        "Its silence is over then. If it is heard again it is expected again.",
        "Forget the component",
    ),
}


@dataclass(frozen=True, slots=True)
class AlarmPage:
    """One alarm, whole; `watched` is what its rule watches, or the PV that goes with a signal."""

    alarm: AlarmRow
    tone: str
    sentence: str
    rule: int | None
    watched: Watched | None
    is_latched: bool
    end: End | None
    events: tuple[EventRow, ...]
    notifications: tuple[NotificationRow, ...]
    former: tuple[AlarmRow, ...]
    may_answer: bool
    may_tend: bool
    problem: str
    comment: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first; `older` is the `before` of the next part, 0 at the end."""

    instrument: str
    rows: tuple[AlarmRow, ...]
    is_first_part: bool
    older: int
    read_at: dt.datetime


def alarm_list_page(
    wanted: AlarmFilter, person: User, now: dt.datetime, *, problem: str = "", comment: str = ""
) -> AlarmListPage:
    """The roll-up tells of all instruments, whatever is wanted."""
    counts = alarm_lists.open_counts()
    found = [each for each in counts if wanted.finds(each)]
    return AlarmListPage(
        filter=wanted,
        roll_up=_roll_up(counts),
        needing=_rows(wanted, person, needs_somebody=True),
        count_needing=sum(each.count for each in found if each.needs_somebody),
        handled=_rows(wanted, person, needs_somebody=False),
        count_handled=sum(each.count for each in found if not each.needs_somebody),
        shelved=tuple(
            _shelf(each, each.shelved_until, person)
            for each in alarm_lists.idle_shelves(wanted.instrument)
            if each.shelved_until is not None
        ),
        may_answer=may_answer_for_some(person),
        problem=problem,
        comment=comment,
        read_at=now,
    )


def alarm_page(
    alarm: Alarm, person: User, now: dt.datetime, *, problem: str = "", comment: str = ""
) -> AlarmPage:
    setting = alarm_details.alarm_setting(alarm.instrument, alarm.name)
    row = _plain_row(alarm, person, setting, now)
    tone, sentence = _verdict(row)
    return AlarmPage(
        alarm=row,
        tone=tone,
        sentence=sentence,
        rule=alarm.rule_id,
        watched=_watched(alarm),
        is_latched=setting.is_latched if setting else alarm.is_latched,
        end=None if alarm.closed_at else ENDS.get(Alarm.Origin(alarm.origin)),
        events=tuple(_event(event) for event in alarm_lists.events_of(alarm)),
        notifications=tuple(
            _notification(each, person) for each in alarm_details.notifications_of(alarm)
        ),
        former=tuple(
            _plain_row(each, person, None, now)
            for each in alarm_details.former_occurrences(alarm, FORMER)
        ),
        may_answer=row.may_answer,
        may_tend=may_tend(person, alarm.instrument.name),
        problem=problem,
        comment=comment,
        read_at=now,
    )


def history_page(
    instrument: Instrument | None, older_than: Alarm | None, person: User, now: dt.datetime
) -> HistoryPage:
    found = alarm_lists.alarm_history(instrument, older_than, HISTORY + 1)
    shown = found[:HISTORY]
    return HistoryPage(
        instrument="" if instrument is None else instrument.name,
        rows=tuple(_plain_row(alarm, person, None, now) for alarm in shown),
        is_first_part=older_than is None,
        older=shown[-1].id if len(found) > HISTORY else 0,
        read_at=now,
    )


def _roll_up(counts: Sequence[OpenAlarms]) -> tuple[RollUp, ...]:
    return tuple(
        _rolled_up(name, list(group))
        for name, group in groupby(counts, key=lambda each: each.instrument)
    )


def _rolled_up(name: str, group: Sequence[OpenAlarms]) -> RollUp:
    """The level of the worst that needs somebody, if any does."""
    needing = [each for each in group if each.needs_somebody]
    worst = max(each.level for each in needing or group)
    return RollUp(
        name,
        sum(each.count for each in group),
        sum(each.count for each in needing),
        worst.word,
    )


def _rows(wanted: AlarmFilter, person: User, *, needs_somebody: bool) -> tuple[AlarmRow, ...]:
    found = alarm_lists.open_alarms(wanted, needs_somebody=needs_somebody, limit=SHOWN)
    return tuple(_row(shown, person) for shown in found)


def _row(shown: ShownAlarm, person: User) -> AlarmRow:
    alarm, name = shown.alarm, shown.alarm.instrument.name
    may_answer, until = may_answer_for(person, name), shown.shelved_until
    by, because = shown.shelved_by, shown.shelved_because
    shelf = None if until is None else Shelf(name, alarm.name, until, by, because, may_answer)
    return _alarm_row(alarm, shown.guidance, shelf, may_answer=may_answer)


def _plain_row(
    alarm: Alarm, person: User, setting: AlarmSetting | None, now: dt.datetime
) -> AlarmRow:
    shelf = None
    if setting and setting.shelved_until is not None and setting.shelved_until > now:
        shelf = _shelf(setting, setting.shelved_until, person)
    guidance = setting.guidance if setting else ""
    may_answer = may_answer_for(person, alarm.instrument.name)
    return _alarm_row(alarm, guidance, shelf, may_answer=may_answer)


def _alarm_row(alarm: Alarm, guidance: str, shelf: Shelf | None, *, may_answer: bool) -> AlarmRow:
    ended = alarm.over_at or alarm.closed_at
    return AlarmRow(
        id=alarm.id,
        level=Level(alarm.level).word,
        instrument=alarm.instrument.name,
        name=alarm.name,
        origin=Alarm.Origin(alarm.origin).label,
        source=alarm.source,
        message=alarm.message,
        raised_at=alarm.raised_at,
        repeated_at=alarm.repeated_at,
        repeats=alarm.repeats,
        over_at=alarm.over_at,
        lasted=None if ended is None else ended - alarm.raised_at,
        closed_at=alarm.closed_at,
        acknowledged_at=alarm.acknowledged_at,
        acknowledged_by=_name(alarm.acknowledged_by),
        comment=alarm.comment,
        guidance=guidance,
        shelf=shelf,
        may_answer=may_answer,
    )


def _shelf(setting: AlarmSetting, until: dt.datetime, person: User) -> Shelf:
    return Shelf(
        setting.instrument.name,
        setting.name,
        until,
        _name(setting.shelved_by),
        setting.shelved_because,
        may_answer_for(person, setting.instrument.name),
    )


def _verdict(row: AlarmRow) -> tuple[str, str]:
    """Tone and the sentence that answers first: does it need anybody?"""
    if row.closed_at is not None:
        return "good", "It is over."
    if row.shelf is not None:
        return "calm", "It is on a shelf: nobody is told."
    if row.acknowledged_at is not None:
        return "calm", f"{row.acknowledged_by or 'Somebody'} looks after it."
    if row.over_at is not None:
        return "bad", "Its cause is gone, and it stays until somebody acknowledges it."
    return "bad", "Nobody has acknowledged it yet."


def _watched(alarm: Alarm) -> Watched | None:
    if alarm.rule is not None:
        kind, name = Kind(alarm.rule.kind), alarm.rule.name
    else:
        kind, name = Kind.PV, alarm_details.tied_pv(alarm)
    if not name:
        return None
    query = urlencode({_PLOT_PARAMETERS[kind]: name})
    return Watched(kind.word, name, f"/pvmon/{alarm.instrument.name}/?{query}")


def _event(event: AlarmEvent) -> EventRow:
    return EventRow(event.at, event.what, _name(event.by), event.words)


def _notification(notification: Notification, reader: User) -> NotificationRow:
    recipient = notification.recipient
    is_secret = recipient.way != Recipient.Way.EMAIL
    is_whole = may_read_answer(reader, recipient.owner_id, is_secret=is_secret)
    return NotificationRow(
        cause=notification.cause,
        owner=_name(notification.recipient.owner),
        way=notification.recipient.get_way_display(),
        state=_delivery_state(notification),
        created_at=notification.created_at,
        due_at=notification.due_at,
        sent_at=notification.sent_at,
        dropped_because=notification.dropped_because,
        attempts=tuple(_attempt(each, is_whole) for each in notification.deliveries.all()),
    )


def _delivery_state(notification: Notification) -> str:
    if notification.dropped_because:
        return "skipped"
    if notification.given_up_at is not None:
        return "failed"
    return "sent" if notification.sent_at is not None else "waiting"


def _attempt(attempt: DeliveryAttempt, is_whole: bool) -> AttemptRow:
    answer = attempt.answer if is_whole else attempt.answer.partition(": ")[0]
    return AttemptRow(attempt.at, attempt.is_success, attempt.took, answer)


def _name(person: object) -> str:
    return "" if person is None else str(person)


def instruments_of(rows: Iterable[RollUp], chosen: str) -> list[str]:
    """What the filter offers: instruments with open alarms, and the one that is chosen."""
    return sorted({row.instrument for row in rows} | ({chosen} if chosen else set()))
