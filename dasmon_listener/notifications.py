"""Who is to be told of an alarm: the rows of the outbox that `delivery` sends.

A recipient is told of the same alarm once for each cause. An alarm that is latched may be over and
be raised again as the same row: `is_past` then makes room for telling it again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.quiet_hours import QuietHours
from dasmon_listener.models import Alarm, Notification, Recipient
from dasmon_listener.sql import NOTIFICATIONS
from workflow_manager.services import CHANGES, notify

Row = Mapping[str, Any]

# An alarm that comes and goes is told so often within this time; then it must last to be told.
MOST_IN_WINDOW = 3
WINDOW = timedelta(minutes=10)


def enqueue(alarms: Sequence[Alarm], cause: Notification.Cause, at: datetime) -> None:
    """Put into the outbox whom to tell of these alarms, inside the caller's transaction.

    RAISED reaches those who want to be told at once, each of them once until the alarm is over,
    so it may be asked for again when an alarm has become worse or is no longer shelved. OVER has to
    be asked for whenever an alarm is over, whether or not anybody was told of it.

    Raises:
        ValueError: the cause is one of which `escalate` or a person decides.
    """
    if cause not in {Notification.Cause.RAISED, Notification.Cause.OVER}:
        raise ValueError(f"{cause} is not enqueued for alarms")
    if not alarms:
        return
    ids = [alarm.pk for alarm in alarms]
    with connection.cursor() as cursor:
        if cause == Notification.Cause.OVER:
            _end(cursor, ids, at)
        else:
            _add(cursor, _interested(cursor, ids, at), cause, at)


def escalate(now: datetime) -> int:
    """Tell those who want to know of alarms that nobody acknowledged for as long as they said.

    The history of the alarm says whom, once for each. Returns how many are told.
    """
    with connection.cursor() as cursor:
        waiting = _rows(cursor, "unacknowledged", {"now": now})
    alarms = groupby(waiting, key=lambda row: row["alarm_id"])
    return sum(_escalate(list(rows), now) for _, rows in alarms)


@transaction.atomic
def _escalate(rows: Sequence[Row], now: datetime) -> int:
    """Those who wait for one alarm. A transaction for each never waits for a second alarm."""
    with connection.cursor() as cursor:
        added = _add(cursor, rows, Notification.Cause.ESCALATED, now)
        told = [row for row in rows if (row["recipient_id"], row["alarm_id"]) in added]
        if not told:
            return 0
        alarms = [row["alarm_id"] for row in told]
        words = [_words(row) for row in told]
        cursor.execute(NOTIFICATIONS["escalated"], {"now": now, "alarms": alarms, "words": words})
        name = Alarm.objects.values_list("instrument__name", flat=True).get(id=alarms[0])
        notify(cursor, CHANGES, [f"alarm {name}"])
    return len(told)


def _words(row: Row) -> str:
    minutes = row["escalate_after"] / timedelta(minutes=1)
    way = Recipient.Way(row["way"]).label
    return f"not acknowledged for {minutes:g} min, so {row['username']} is told by {way}"


def _interested(cursor: CursorWrapper, alarms: list[int], at: datetime) -> list[Row]:
    """Who wants to know of these at once, and until when an alarm that comes and goes is calm."""
    rows = _rows(cursor, "interested", {"alarms": alarms, "at": at})
    if not rows:
        return []
    often = _rows(cursor, "told_often", {"at": at, "window": WINDOW, "most": MOST_IN_WINDOW})
    calm = {
        (row["recipient_id"], row["instrument_id"], row["name"]): row["calm_until"] for row in often
    }
    return [
        {**row, "calm_until": calm.get((row["recipient_id"], row["instrument_id"], row["name"]))}
        for row in rows
    ]


def _end(cursor: CursorWrapper, alarms: list[int], at: datetime) -> None:
    told = _rows(cursor, "end", {"alarms": alarms})
    if told:
        follows = [row["follows_id"] for row in told]
        cursor.execute(NOTIFICATIONS["add_over"], {**_columns(told, at), "follows": follows})
        _tell_pages(cursor, told)


def _add(
    cursor: CursorWrapper, rows: Sequence[Row], cause: Notification.Cause, at: datetime
) -> set[tuple[int, int]]:
    """Recipient and alarm of those who had not been told before."""
    if not rows:
        return set()
    cursor.execute(NOTIFICATIONS["add"], {**_columns(rows, at), "cause": cause.value})
    added = set(cursor.fetchall())
    _tell_pages(cursor, [row for row in rows if (row["recipient_id"], row["alarm_id"]) in added])
    return added


def _tell_pages(cursor: CursorWrapper, rows: Sequence[Row]) -> None:
    notify(cursor, CHANGES, sorted({f"notification {row['owner_id']}" for row in rows}))


def _columns(rows: Sequence[Row], at: datetime) -> dict[str, Any]:
    return {
        "recipients": [row["recipient_id"] for row in rows],
        "alarms": [row["alarm_id"] for row in rows],
        "due": [_due_at(row, at) for row in rows],
        "at": at,
    }


def _due_at(row: Row, at: datetime) -> datetime:
    """Quiet hours postpone, but nothing that is fatal; so does an alarm that comes and goes."""
    due_at = max(at, row.get("calm_until") or at)
    if row["level"] >= Level.FATAL or row["quiet_from"] is None or row["quiet_until"] is None:
        return due_at
    quiet = QuietHours(row["quiet_from"], row["quiet_until"], frozenset(row["days"]))
    return quiet.end_after(due_at, ZoneInfo(settings.TIME_ZONE))


def _rows(cursor: CursorWrapper, statement: str, values: Mapping[str, Any]) -> list[Row]:
    cursor.execute(NOTIFICATIONS[statement], dict(values))
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
