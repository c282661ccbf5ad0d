"""The months of the event table: one partition each, made ahead, dropped as a whole when old.

What comes for a month without a partition goes to the default one, so nothing is lost if nobody
made it; it moves when the month gets its own.
"""

import datetime as dt
import logging
import re
from collections.abc import Collection
from typing import NamedTuple, Self

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from psycopg import sql

from workflow_manager.sql import EVENT_PARTITIONS

log = logging.getLogger(__name__)

MONTHS_AHEAD = 3

_PARTITION = re.compile(r"workflow_event_(\d{4})_(\d{2})")


class Month(NamedTuple):
    """A calendar month in UTC. Months are ordered, and months may be added to one."""

    year: int
    month: int

    @classmethod
    def of(cls, day: dt.date) -> Self:
        """The month of a day; of a time, that of its day in UTC."""
        if isinstance(day, dt.datetime):
            day = day.astimezone(dt.UTC)
        return cls(day.year, day.month)

    @classmethod
    def now(cls) -> Self:
        return cls.of(timezone.now())

    def after(self, months: int) -> "Month":
        """The month so many later; earlier if negative."""
        years, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(years, month + 1)

    @property
    def begin(self) -> dt.datetime:
        return dt.datetime(self.year, self.month, 1, tzinfo=dt.UTC)

    @property
    def partition(self) -> str:
        return f"workflow_event_{self.year:04}_{self.month:02}"


def tend(months_kept: int) -> None:
    """What is to be done every day: make partitions ahead, drop those past their time.

    `months_kept` are whole months before this one; 0 keeps events for ever.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    ensure(MONTHS_AHEAD)
    if months_kept > 0:
        forget_before(Month.now().after(-months_kept))


def ensure(months_ahead: int) -> list[Month]:
    """Make what is missing from this month on, and for what waits in the default partition.

    Nothing is locked if nothing is missing. Returns the months that got a partition.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    this = Month.now()
    with connection.cursor() as cursor:
        cursor.execute(EVENT_PARTITIONS["months_without"])
        waiting = [Month.of(day) for (day,) in cursor.fetchall()]
    return provide([*waiting, *(this.after(ahead) for ahead in range(months_ahead + 1))])


def provide(months: Collection[Month]) -> list[Month]:
    """Make the partitions of these months, each in a transaction of its own; return the new ones.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    missing = sorted(set(months) - set(partitioned_months()))
    return [month for month in missing if _create(month)]


def forget_before(first_kept: Month) -> list[Month]:
    """Drop the events of all earlier months; runs and jobs stay. Returns the months dropped.

    Raises:
        django.db.OperationalError: somebody held a lock too long; what was done stays, call again.
    """
    old = [month for month in partitioned_months() if month < first_kept]
    return [month for month in old if _drop(month)]


def partitioned_months() -> list[Month]:
    """The months that have a partition, oldest first."""
    with connection.cursor() as cursor:
        return _partitions(cursor)


def _partitions(cursor: CursorWrapper) -> list[Month]:
    cursor.execute(EVENT_PARTITIONS["partitions"])
    found = [_PARTITION.fullmatch(name) for (name,) in cursor.fetchall()]
    return [Month(int(match[1]), int(match[2])) for match in found if match]


def _create(month: Month) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(EVENT_PARTITIONS["alone"])
        if month in _partitions(cursor):
            return False
        cursor.execute(_statement("create", month))
    log.info("Events of %s-%02d have a partition", *month)
    return True


def _drop(month: Month) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(EVENT_PARTITIONS["alone"])
        if month not in _partitions(cursor):
            return False
        cursor.execute(_statement("drop", month))
    log.info("Events of %s-%02d are dropped", *month)
    return True


def _statement(name: str, month: Month) -> sql.Composed:
    return sql.SQL(EVENT_PARTITIONS[name]).format(
        name=sql.Identifier(month.partition),
        begin=sql.Literal(month.begin),
        end=sql.Literal(month.after(1).begin),
    )
