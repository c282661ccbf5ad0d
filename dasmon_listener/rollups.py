"""Minutes and hours of every series, kept up to date from what was received.

A pass takes what was received since the last one, and a while before that for transactions that
committed late. It writes only minutes that changed, so it may be repeated at will. Hours are
written when they are over; what is younger is read from minutes and samples (`pv_series`).
"""

import datetime as dt
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from dasmon_listener.domain.envelopes import Grain, Span, ceiling, floor
from dasmon_listener.sql import ROLLUPS

# What was received earlier than so long before a pass has been committed, or is found by the next.
_GRACE = dt.timedelta(seconds=10)
_LATE_COMMITS = dt.timedelta(minutes=5)
_FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RolledUpNow:
    """How many rows a pass wrote; `received_before` is how far it got."""

    minutes: int
    hours: int
    received_before: dt.datetime


def roll_up(now: dt.datetime) -> RolledUpNow | None:
    """Bring minutes and hours up to date; None if another process does, or nothing is due.

    `now` is our clock, by which values are received.
    """
    before = now - _GRACE
    with transaction.atomic(), connection.cursor() as cursor:
        if not _first_column(cursor, ROLLUPS["try"]):
            return None
        done_before = _first_column(cursor, ROLLUPS["rolled_up_before"])
        if done_before is not None and before <= done_before:
            return None
        cursor.execute(ROLLUPS["means"])
        minutes, hours = _pass(cursor, done_before, before)
        cursor.execute(ROLLUPS["mark"], {"before": before})
    return RolledUpNow(minutes, hours, before)


def settle(begin: dt.datetime, end: dt.datetime) -> int:
    """Write every minute and hour of a range of which a sample is missing, before its samples go.

    Waits for a pass that runs. Returns how many minutes were written.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROLLUPS["wait"])
        cursor.execute(ROLLUPS["is_complete"], {"begin": begin, "end": end})
        if cursor.fetchone()[0]:
            return 0
        cursor.execute(ROLLUPS["means"])
        return _settle(cursor, Span(begin, end))


def rolled_up_before() -> dt.datetime:
    """Until when what was received is in minutes; the beginning of time if nothing ever was."""
    with connection.cursor() as cursor:
        return _rolled_up_before(cursor)


def rebuild(start: dt.datetime, end: dt.datetime, days: Container[dt.datetime]) -> None:
    """Write minutes and hours anew, a day in UTC after the other, each in one transaction.

    Minutes come from the samples that there are now, on `days` that have some (where they begin);
    those of other days stay. Hours come from minutes. What is not rolled up yet is left to the
    next pass.
    """
    begin, end = floor(start, _DAY), ceiling(end, _DAY)
    while begin < end:
        _rebuild_day(Span(begin, begin + _DAY), begin in days)
        begin += _DAY


def _rebuild_day(day: Span, has_samples: bool) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROLLUPS["wait"])
        cursor.execute(ROLLUPS["means"])
        done = _rolled_up_before(cursor)
        range_ = {"begin": day.begin, "end": min(day.end, floor(done, Grain.HOUR.unit))}
        cursor.execute(ROLLUPS["forget_hours"], range_)
        if has_samples:
            range_["end"] = min(day.end, floor(done, Grain.MINUTE.unit))
            cursor.execute(ROLLUPS["forget_minutes"], range_)
            _settle(cursor, day)
        else:
            _hours(cursor, day.begin, min(day.end, floor(done, Grain.HOUR.unit)), [], [])


def _pass(
    cursor: CursorWrapper, done_before: dt.datetime | None, before: dt.datetime
) -> tuple[int, int]:
    hours_begin = _FIRST if done_before is None else floor(done_before, Grain.HOUR.unit)
    hours_done = floor(before, Grain.HOUR.unit)
    values: dict[str, Any] = {
        "since": _FIRST if done_before is None else done_before - _LATE_COMMITS,
        "kept_since": min(_kept_since(before), floor(done_before or before, _DAY)),
        "until": floor(before, Grain.MINUTE.unit),
        "hours_done": hours_begin,
    }
    cursor.execute(ROLLUPS["minutes"], values)
    count, series, minutes = cursor.fetchone()
    return count, _hours(cursor, hours_begin, hours_done, series, minutes)


def _settle(cursor: CursorWrapper, span: Span) -> int:
    """As if nothing of the span had been received before; without what is not rolled up yet."""
    done = _rolled_up_before(cursor)
    values = {
        "since": _FIRST,
        "kept_since": span.begin,
        "until": min(span.end, floor(done, Grain.MINUTE.unit)),
        "hours_done": _FIRST,
    }
    cursor.execute(ROLLUPS["minutes"], values)
    (count, *_) = cursor.fetchone()
    _hours(cursor, span.begin, min(span.end, floor(done, Grain.HOUR.unit)), [], [])
    return int(count)


def _hours(
    cursor: CursorWrapper,
    begin: dt.datetime,
    done: dt.datetime,
    series: list[int],
    minutes: list[dt.datetime],
) -> int:
    if begin >= done and not series:
        return 0
    values: dict[str, Any] = {"begin": begin, "done": done, "series": series, "minutes": minutes}
    cursor.execute(ROLLUPS["hours"], values)
    return int(cursor.rowcount)


def _kept_since(now: dt.datetime) -> dt.datetime:
    """Of earlier minutes not all samples may be there; late ones for them change nothing.

    Only if no pass was made for longer than days are kept, samples wait that are older.
    """
    days = settings.DASMON_RAW_DAYS
    return floor(now, _DAY) - days * _DAY if days else _FIRST


def _rolled_up_before(cursor: CursorWrapper) -> dt.datetime:
    at: dt.datetime | None = _first_column(cursor, ROLLUPS["rolled_up_before"])
    return at or _FIRST


def _first_column(cursor: CursorWrapper, statement: str) -> Any:
    cursor.execute(statement)
    row = cursor.fetchone()
    return row[0] if row else None
