"""The life of alarms: what is asserted, over, acknowledged, shelved; all in the caller's terms.

Whoever changes alarms of an instrument holds its lock until the transaction ends
(`sql/alarms.sql`), so that of many who report the same name one raises the alarm and the others
repeat it.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils import timezone

from dasmon_listener import notifications
from dasmon_listener.alarm_ledger import (
    AlarmKey,
    AlarmLedger,
    AlarmRecord,
    Assertion,
)
from dasmon_listener.domain.levels import WORTH_TELLING, Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.silence import silence_of
from dasmon_listener.models import (
    Alarm,
    AlarmEvent,
    AlarmRule,
    AlarmSetting,
    Component,
    Notification,
)
from dasmon_listener.sql import ALARMS
from workflow_manager.models import Instrument
from workflow_manager.services import CHANGES, notify

_log = logging.getLogger(__name__)

# An assertion that was under way for longer says nothing about now.
OLDEST_ASSERTION = timedelta(hours=1)

LONGEST_SHELF = timedelta(days=30)

# Names are in an index, which takes no row of more than 2,700 bytes; a PV's name is far shorter.
LONGEST_NAME = 500

What = AlarmEvent.What
Cause = Notification.Cause


class AlarmRefusedError(ValueError):
    """A wish of a person about alarms that cannot be met; the message says why."""


def receive(reports: Sequence[SignalReport], at: datetime) -> None:
    """Take in what DASMON asserts and retracts, in this order, inside the caller's transaction.

    A time of the sender that is ahead of `at` is taken as `at`; an assertion older than an hour is
    ignored.

    Raises:
        Instrument.DoesNotExist: the caller did not make a report's instrument known before.
    """
    fresh = [report for report in reports if not _is_too_old(report, at)]
    if not fresh:
        return
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        names = {report.instrument for report in fresh}
        instruments = {name: number for number, name in _lock(cursor, names=names).items()}
        if missing := sorted(names - instruments.keys()):
            raise Instrument.DoesNotExist(f"signals came of unknown instruments: {missing}")
        said = [_assertion(report, instruments[report.instrument], at) for report in fresh]
        _take_in(cursor, said, at)
        _tell(cursor, names)


def assert_all(said: Sequence[Assertion], at: datetime) -> None:
    """Take in what was found out here, of rules or of silence, in this order."""
    if not said:
        return
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        instruments = _lock(cursor, ids={each.key.instrument_id for each in said})
        _take_in(cursor, [each for each in said if each.key.instrument_id in instruments], at)
        _tell(cursor, instruments.values())


def acknowledge(alarm: Alarm, by: User, comment: str) -> None:
    """Say that somebody looks after an alarm. It closes one that was latched and is over.

    An alarm that was acknowledged before stays as it is.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=[alarm.instrument_id])
        now = timezone.now()
        found = Alarm.objects.get(id=alarm.id)
        if found.acknowledged_at is not None:
            return
        found.acknowledged_at, found.acknowledged_by, found.comment = now, by, comment
        found.save(update_fields=["acknowledged_at", "acknowledged_by", "comment"])
        AlarmEvent.objects.create(alarm=found, at=now, what=What.ACKNOWLEDGED, by=by, words=comment)
        _close_if_settled(found, now)
        _tell(cursor, instruments.values())


def close(alarm: Alarm, by: User, because: str) -> None:
    """End an alarm that its sender will never retract, because it is gone.

    If it is asserted once more, that is a new alarm. One that is closed stays as it is.

    Raises:
        AlarmRefusedError: it is not a signal's, so it ends by itself.
    """
    if alarm.origin != Alarm.Origin.SIGNAL:
        raise AlarmRefusedError(
            f"The alarm {alarm.name} ends by itself: change or remove its rule, or forget the "
            "component that is gone."
        )
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=[alarm.instrument_id])
        now = timezone.now()
        found = Alarm.objects.get(id=alarm.id)
        if found.closed_at is not None:
            return
        found.over_at, found.closed_at = found.over_at or now, now
        found.save(update_fields=["over_at", "closed_at"])
        AlarmEvent.objects.create(alarm=found, at=now, what=What.CLOSED, by=by, words=because)
        notifications.enqueue([found], Cause.OVER, now)
        _tell(cursor, instruments.values())


def shelve(instrument: Instrument, name: str, until: datetime, by: User, because: str) -> None:
    """Record alarms of this name until then without telling or counting them.

    Raises:
        AlarmRefusedError: that is not between now and thirty days from now.
    """
    now = timezone.now()
    if not now < until <= now + LONGEST_SHELF:
        raise AlarmRefusedError(
            f"The alarm {name} of {instrument} can be shelved until a time between now and "
            f"{LONGEST_SHELF.days} days from now: choose one."
        )
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=[instrument.id])
        shelf = {"shelved_until": until, "shelved_by": by, "shelved_because": because}
        AlarmSetting.objects.update_or_create(instrument=instrument, name=name, defaults=shelf)
        words = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        words = f"{words}: {because}" if because else words
        for alarm in _open(instrument, name):
            AlarmEvent.objects.create(alarm=alarm, at=now, what=What.SHELVED, by=by, words=words)
        _tell(cursor, instruments.values())


def unshelve(instrument: Instrument, name: str, by: User) -> None:
    """End a shelf before its time; an alarm that nobody looks after yet is told then."""
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=[instrument.id])
        shelved = AlarmSetting.objects.filter(
            instrument=instrument, name=name, shelved_until__isnull=False
        )
        if _end_shelves(shelved, timezone.now(), by):
            _tell(cursor, instruments.values())


def end_shelves(now: datetime) -> int:
    """End the shelves whose time has come, and return how many."""
    due = AlarmSetting.objects.filter(shelved_until__lte=now)
    instrument_ids = set(due.values_list("instrument_id", flat=True))
    if not instrument_ids:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=instrument_ids)
        # Asked again behind the locks: somebody may have shelved one anew.
        ended = _end_shelves(due.filter(instrument__in=instruments), now, None)
        _tell(cursor, instruments.values())
    return ended


def describe(
    instrument: Instrument, name: str, *, guidance: str, is_latched: bool, by: User
) -> None:
    """Say what to do about alarms of this name, and whether they wait to be acknowledged.

    That holds for an open alarm too.
    """
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        instruments = _lock(cursor, ids=[instrument.id])
        said = {"guidance": guidance, "is_latched": is_latched}
        AlarmSetting.objects.update_or_create(instrument=instrument, name=name, defaults=said)
        _log.info("%s described the alarm %s of %s", by, name, instrument)
        for alarm in _open(instrument, name).exclude(is_latched=is_latched):
            alarm.is_latched = is_latched
            alarm.save(update_fields=["is_latched"])
            words = "it is latched from now on" if is_latched else "it is latched no longer"
            AlarmEvent.objects.create(alarm=alarm, at=now, what=What.CHANGED, by=by, words=words)
            _close_if_settled(alarm, now)
        _tell(cursor, instruments.values())


def save_rule(rule: AlarmRule, by: User) -> AlarmRule:
    """Make or change a rule; it holds from the listener's next look, a second from now.

    Raises:
        AlarmRefusedError: something is missing or makes no sense.
    """
    rule.name = rule.name.strip()
    if not rule.name:
        raise AlarmRefusedError("A rule needs the name of a PV or a status value.")
    if len(rule.name) > LONGEST_NAME:
        raise AlarmRefusedError(
            f"The name has more than {LONGEST_NAME} characters: write the name of a PV or a status "
            "value."
        )
    if complaint := rule.terms.complaint():
        raise AlarmRefusedError(complaint)
    rule.updated_at = timezone.now()
    if rule.pk is None:
        rule.created_by = by
    rule.save()
    return rule


def remove_rule(rule: AlarmRule, by: User) -> None:
    """Remove a rule; its alarm is over with the listener's next look."""
    with transaction.atomic(), connection.cursor() as cursor:
        _lock(cursor, ids=[rule.instrument_id])
        rule.delete()
    _log.info("%s removed the rule %s of %s", by, rule.alarm_name, rule.instrument)


def forget_component(component: Component) -> None:
    """Forget a component that is gone for good; its silence is over. It is known again if heard."""
    key = AlarmKey(component.instrument_id, silence_of(component.name))
    with transaction.atomic():
        Component.objects.filter(id=component.id).delete()
        now = timezone.now()
        assert_all([Assertion(key, None, Alarm.Origin.SILENCE, "", now)], now)


def _is_too_old(report: SignalReport, at: datetime) -> bool:
    return report.level is not None and at - report.sent_at > OLDEST_ASSERTION


def _assertion(report: SignalReport, instrument_id: int, at: datetime) -> Assertion:
    return Assertion(
        key=AlarmKey(instrument_id, report.name),
        level=report.level,
        origin=Alarm.Origin.SIGNAL,
        message=report.message,
        source=report.source,
        at=min(report.sent_at, at),
    )


def _lock(
    cursor: CursorWrapper, *, ids: Iterable[int] = (), names: Iterable[str] = ()
) -> dict[int, str]:
    """Wait for these instruments' alarms, and return the instruments' names."""
    cursor.execute(ALARMS["lock"], {"ids": list(ids), "names": list(names)})
    return {number: name for number, name, _ in cursor.fetchall()}


def _take_in(cursor: CursorWrapper, said: Sequence[Assertion], at: datetime) -> None:
    ledgers = _ledgers(cursor, {each.key for each in said}, at)
    for each in said:
        ledgers[each.key].take_in(each)
    _write(cursor, [record for ledger in ledgers.values() for record in ledger.changed])
    _announce(ledgers.values(), at)


def _ledgers(
    cursor: CursorWrapper, keys: Collection[AlarmKey], at: datetime
) -> dict[AlarmKey, AlarmLedger]:
    about: dict[str, Any] = {
        "instrument_ids": [key.instrument_id for key in keys],
        "names": [key.name for key in keys],
        "at": at,
    }
    cursor.execute(ALARMS["known"], about)
    columns = [column.name for column in cursor.description][4:]
    ledgers = {}
    for instrument_id, name, is_latched, is_shelved, *values in cursor.fetchall():
        key = AlarmKey(instrument_id, name)
        ledgers[key] = AlarmLedger(key, is_latched=is_latched, is_shelved=is_shelved)
        row = dict(zip(columns, values, strict=True))
        if row["alarm_id"] is not None:
            row["level"] = Level(row["level"])
            ledgers[key].records.append(AlarmRecord(key=key, **row))
    return ledgers


def _write(cursor: CursorWrapper, records: Sequence[AlarmRecord]) -> None:
    """Old alarms first: one that is closed now makes room for a new one of its name."""
    old = [record for record in records if record.alarm_id is not None]
    new = [record for record in records if record.alarm_id is None]
    if old:
        cursor.execute(ALARMS["update"], _columns(map(_row, old)))
    if new:
        cursor.execute(ALARMS["new_ids"], {"count": len(new)})
        for record, (alarm_id,) in zip(new, cursor.fetchall(), strict=True):
            record.alarm_id = alarm_id
        cursor.execute(ALARMS["add"], _columns(map(_row, new)))
    lines = [
        {"alarm_id": record.alarm_id, **line._asdict()}
        for record in records
        for line in record.history
    ]
    if lines:
        cursor.execute(ALARMS["add_history"], _columns(lines))


def _row(record: AlarmRecord) -> dict[str, Any]:
    return {
        "id": record.alarm_id,
        "instrument_id": record.key.instrument_id,
        "name": record.key.name,
        "origin": record.origin,
        "rule_id": record.rule_id,
        "level": record.level.value,
        "source": record.source,
        "message": record.message,
        "raised_at": record.raised_at,
        "repeated_at": record.repeated_at,
        "repeats": record.repeats,
        "over_at": record.over_at,
        "acknowledged_at": record.acknowledged_at,
        "closed_at": record.closed_at,
        "is_latched": record.is_latched,
    }


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _announce(ledgers: Iterable[AlarmLedger], at: datetime) -> None:
    """First what was over, whether it was told or not: it may be told again afterwards."""
    changed = [(ledger, record) for ledger in ledgers for record in ledger.changed]
    over = [record.alarm_id for _, record in changed if record.is_over_now]
    raised = [
        record.alarm_id for ledger, record in changed if record.is_told and not ledger.is_shelved
    ]
    if not raised and not over:
        return
    alarms = Alarm.objects.select_related("instrument").in_bulk([*raised, *over])
    for numbers, cause in ((over, Cause.OVER), (raised, Cause.RAISED)):
        if numbers:
            notifications.enqueue([alarms[number] for number in numbers], cause, at)


def _open(instrument: Instrument, name: str) -> QuerySet[Alarm]:
    return Alarm.objects.filter(instrument=instrument, name=name, closed_at=None)


def _close_if_settled(alarm: Alarm, now: datetime) -> None:
    """Close one that is over, and either acknowledged or not latched."""
    is_waiting = alarm.is_latched and alarm.acknowledged_at is None
    if alarm.closed_at is not None or alarm.over_at is None or is_waiting:
        return
    alarm.closed_at = now
    alarm.save(update_fields=["closed_at"])
    AlarmEvent.objects.create(alarm=alarm, at=now, what=What.CLOSED)


def _end_shelves(shelved: QuerySet[AlarmSetting], now: datetime, by: User | None) -> int:
    """Alarms that nobody looks after yet are told: they were not while they were shelved."""
    ended = list(shelved)
    AlarmSetting.objects.filter(id__in=[setting.id for setting in ended]).update(
        shelved_until=None, shelved_by=None, shelved_because=""
    )
    names = {(setting.instrument_id, setting.name) for setting in ended}
    candidates = Alarm.objects.filter(
        closed_at=None,
        instrument__in={number for number, _ in names},
        name__in={name for _, name in names},
    ).select_related("instrument")
    alarms = [alarm for alarm in candidates if (alarm.instrument_id, alarm.name) in names]
    AlarmEvent.objects.bulk_create(
        AlarmEvent(alarm=alarm, at=now, what=What.UNSHELVED, by=by) for alarm in alarms
    )
    forgotten = [alarm for alarm in alarms if _needs_somebody(alarm)]
    if forgotten:
        notifications.enqueue(forgotten, Cause.RAISED, now)
    return len(ended)


def _needs_somebody(alarm: Alarm) -> bool:
    return alarm.level >= WORTH_TELLING and alarm.acknowledged_at is None and alarm.over_at is None


def _tell(cursor: CursorWrapper, instruments: Iterable[str]) -> None:
    notify(cursor, CHANGES, [f"alarm {name}" for name in sorted(instruments)])
