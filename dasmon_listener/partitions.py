"""The days of the samples and the months of the minutes: made ahead, dropped as a whole when old.

What comes for a time without a partition goes to the default one, so nothing is lost if nobody made
it; it moves when the day or month gets its own. A day's rollups are completed before it goes.
"""

import datetime as dt
import logging
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from dasmon_listener import rollups
from dasmon_listener.sql import PARTITIONS
from workflow_manager.event_partitions import Month

log = logging.getLogger(__name__)

DAYS_AHEAD = 7
MONTHS_AHEAD = 2

_SAMPLES = "dasmon_sample"
_MINUTES = "dasmon_minute"
_FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_NAME = re.compile(rf"{_SAMPLES}_(\d{{4}})_(\d{{2}})_(\d{{2}})")
_MONTH_NAME = re.compile(rf"{_MINUTES}_(\d{{4}})_(\d{{2}})")


class Partition(NamedTuple):
    """A part of a table that holds the times from `begin` until before `end`."""

    begin: dt.datetime
    end: dt.datetime
    table: str
    name: str


class Day(NamedTuple):
    """A day in UTC. Days are ordered, and days may be added to one."""

    year: int
    month: int
    day: int

    @classmethod
    def of(cls, at: dt.date) -> Self:
        """The day itself; of a time, that in UTC."""
        if isinstance(at, dt.datetime):
            at = at.astimezone(dt.UTC)
        return cls(at.year, at.month, at.day)

    def after(self, days: int) -> "Day":
        """The day so many later; earlier if negative."""
        return Day.of(dt.date(*self) + dt.timedelta(days=days))

    @property
    def begin(self) -> dt.datetime:
        return dt.datetime(*self, tzinfo=dt.UTC)

    @property
    def partition(self) -> Partition:
        """Where its samples are."""
        name = f"{_SAMPLES}_{self.year:04}_{self.month:02}_{self.day:02}"
        return Partition(self.begin, self.after(1).begin, _SAMPLES, name)


def of_month(month: Month) -> Partition:
    """Where the minutes of a month are."""
    name = f"{_MINUTES}_{month.year:04}_{month.month:02}"
    return Partition(month.begin, month.after(1).begin, _MINUTES, name)


def tend(now: dt.datetime) -> None:
    """What is to be done now and then: make partitions ahead, drop what is older than it is kept.

    Days kept are `DASMON_RAW_DAYS` before this one, months those of `DASMON_MINUTE_DAYS`; 0 keeps
    them for ever. What was dropped is in the hours, for ever.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    days_since, months_since = _kept_since(now)
    provide([*_days(now, days_since), *_months(now, months_since)])
    forget_days_before(days_since)
    forget_months_before(months_since)
    _forget_latest(now)


def provide(wanted: Iterable[Partition]) -> list[Partition]:
    """Make what is missing, each in a transaction of its own; return the new ones.

    Nothing is locked if nothing is missing.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    there = {*day_partitions(), *month_partitions()}
    return [each for each in sorted(set(wanted) - there) if _create(each)]


def forget_days_before(first_kept: dt.datetime) -> list[Partition]:
    """Drop the samples of earlier days once their minutes and hours are complete.

    What came while no rollups were made waits for them: programs write without any listener. Late
    ones, which are in the default partition, are deleted when no rollup waits for them.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    complete = min(first_kept, rollups.rolled_up_before())
    old = [day for day in day_partitions() if day.end <= complete]
    for day in old:
        rollups.settle(day.begin, day.end)
    dropped = [day for day in old if _drop(day)]
    _delete("forget_samples", kept_since=first_kept)
    return dropped


def forget_months_before(first_kept: dt.datetime) -> list[Partition]:
    """Drop the minutes of earlier months; the hours stay.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    dropped = [month for month in month_partitions() if month.end <= first_kept and _drop(month)]
    _delete("forget_minutes", kept_since=first_kept)
    return dropped


def day_partitions() -> list[Partition]:
    """The days that have one, oldest first."""
    found = (_DAY_NAME.fullmatch(name) for name in _names(_SAMPLES))
    return [Day(*map(int, match.groups())).partition for match in found if match]


def month_partitions() -> list[Partition]:
    """The months that have one, oldest first."""
    found = (_MONTH_NAME.fullmatch(name) for name in _names(_MINUTES))
    return [of_month(Month(*map(int, match.groups()))) for match in found if match]


def _kept_since(now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    raw, minutes = settings.DASMON_RAW_DAYS, settings.DASMON_MINUTE_DAYS
    today = Day.of(now)
    return (
        today.after(-raw).begin if raw else _FIRST,
        Month.of(now - dt.timedelta(days=minutes)).begin if minutes else _FIRST,
    )


def _days(now: dt.datetime, since: dt.datetime) -> list[Partition]:
    """Those ahead, and those of what waits without one."""
    today = Day.of(now)
    ahead = [today.after(days) for days in range(DAYS_AHEAD + 1)]
    return [day.partition for day in (*ahead, *map(Day.of, _dates("days_without", since)))]


def _months(now: dt.datetime, since: dt.datetime) -> list[Partition]:
    this = Month.of(now)
    ahead = [this.after(months) for months in range(MONTHS_AHEAD + 1)]
    return [of_month(month) for month in (*ahead, *map(Month.of, _dates("months_without", since)))]


def _dates(statement: str, since: dt.datetime) -> list[dt.date]:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS[statement], [since])
        return [date for (date,) in cursor.fetchall()]


def _names(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return _partition_names(cursor, table)


def _partition_names(cursor: CursorWrapper, table: str) -> list[str]:
    cursor.execute(PARTITIONS["partitions"], [table])
    return [name for (name,) in cursor.fetchall()]


def _create(partition: Partition) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PARTITIONS["alone"])
        if partition.name in _partition_names(cursor, partition.table):
            return False
        cursor.execute(_statement("create", partition))
    log.info("%s has a partition from %s on", partition.table, partition.begin.date())
    return True


def _drop(partition: Partition) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PARTITIONS["alone_without_rollups"])
        if partition.name not in _partition_names(cursor, partition.table):
            return False
        cursor.execute(_statement("drop", partition))
    log.info("%s is dropped", partition.name)
    return True


def _statement(name: str, partition: Partition) -> sql.Composed:
    return sql.SQL(PARTITIONS[name]).format(
        parent=sql.Identifier(partition.table),
        default=sql.Identifier(f"{partition.table}_default"),
        name=sql.Identifier(partition.name),
        begin=sql.Literal(partition.begin),
        end=sql.Literal(partition.end),
    )


def _forget_latest(now: dt.datetime) -> None:
    if settings.DASMON_LATEST_DAYS:
        heard_since = now - dt.timedelta(days=settings.DASMON_LATEST_DAYS)
        _delete("forget_latest", heard_since=heard_since)


def _delete(statement: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS[statement], values)
        if cursor.rowcount:
            log.info("%s rows too old to keep (%s)", cursor.rowcount, statement)
