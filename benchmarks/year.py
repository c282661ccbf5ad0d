"""A year of a value each second for some PVs, written by the database itself."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from workflow_manager.kernel.named_queries import load

YEAR = timedelta(days=365)

_DAY = timedelta(days=1)
_SQL = load(Path(__file__).with_name("year.sql"))
_BEFORE = ("slow", "above", "instrument", "series", "forget_places", "places")
_AFTER = ("minutes", "hours", "latest", "rolled_up", "forget_places")
_TABLES = ("dasmon_sample", "dasmon_minute", "dasmon_hour", "dasmon_series", "dasmon_latest")


class Connection(Protocol):
    """Django's connection, or one of psycopg."""

    def cursor(self) -> AbstractContextManager[Any]: ...


def generate(
    connection: Connection,
    instrument: object,
    names: list[str],
    end: datetime,
    raw_days: int,
    *,
    length: timedelta = YEAR,
) -> None:
    """Write values at 1 Hz before `end`: minutes and hours of `length`, samples of `raw_days`.

    The instrument (its name, or what has one) and the series are made. `end` is cut to the minute.
    What is there already of these series at these times would be in the way.
    """
    end = end.astimezone(UTC).replace(second=0, microsecond=0)
    begin = _midnight(end - length)
    raw_begin = max(begin, end - raw_days * _DAY)
    values = {
        "instrument": str(getattr(instrument, "name", instrument)).lower(),
        "names": names,
        "begin": begin,
        "end": end,
    }
    with connection.cursor() as cursor:
        _provide_partitions(cursor, begin, raw_begin, end)
        _run(cursor, _BEFORE, values)
        _write_samples(cursor, raw_begin, values)
        _run(cursor, _AFTER, values)
        for table in _TABLES:
            cursor.execute(f"ANALYZE {table}")


def _run(cursor: Any, statements: tuple[str, ...], values: dict[str, Any]) -> None:
    for name in statements:
        cursor.execute(_SQL[name], values)


def _write_samples(cursor: Any, begin: datetime, values: dict[str, Any]) -> None:
    """A day at a time, so that the indexes of one partition stay in memory."""
    end: datetime = values["end"]
    while begin < end:
        following = min(end, _midnight(begin) + _DAY)
        _run(cursor, ("samples",), values | {"begin": begin, "end": following})
        begin = following


def _provide_partitions(cursor: Any, begin: datetime, raw_begin: datetime, end: datetime) -> None:
    day = _midnight(raw_begin)
    while day < end:
        _provide(cursor, "dasmon_sample", f"{day:%Y_%m_%d}", day, day + _DAY)
        day += _DAY
    month = begin.replace(day=1)
    while month < end:
        following = (month + 31 * _DAY).replace(day=1)
        _provide(cursor, "dasmon_minute", f"{month:%Y_%m}", month, following)
        month = following


def _provide(cursor: Any, table: str, suffix: str, begin: datetime, end: datetime) -> None:
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {table}_{suffix} PARTITION OF {table}"
        f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
    )


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
