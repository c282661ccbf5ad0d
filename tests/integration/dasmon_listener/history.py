"""Samples in the database, and what their minutes and hours must be, counted without it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Series
from workflow_manager.models import Instrument

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sample(NamedTuple):
    at: datetime
    received_at: datetime
    value: float | None
    series: int
    text: str | None = None


class Row(NamedTuple):
    """A minute or an hour of a series."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    last: float | None
    size: int


Rows = dict[tuple[int, datetime], Row]


def series(instrument: Instrument, name: str) -> int:
    """The key of a new PV."""
    made = Series.objects.create(instrument=instrument, name=name, kind=Kind.PV.value)
    return made.id


def write(samples: Iterable[Sample]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dasmon_sample (at, received_at, value, series_id, text)"
            " VALUES (%s, %s, %s, %s, %s)",
            list(samples),
        )


def ask(statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def forget_all() -> None:
    """Samples and rollups have no models, so nobody else removes them after a test."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE dasmon_sample, dasmon_minute, dasmon_hour, dasmon_rolled_up")


def stored(table: str) -> Rows:
    columns = "series_id, at, minimum, maximum, mean, last, count"
    rows = ask(f"SELECT {columns} FROM {table}")  # noqa: S608
    return {(each, at): Row(*row) for each, at, *row in rows}


def floor(at: datetime, unit: timedelta) -> datetime:
    return _EPOCH + (at - _EPOCH) // unit * unit


def minutes_of(samples: Iterable[Sample], until: datetime) -> Rows:
    """What the complete minutes before `until` must be."""
    found: dict[tuple[int, datetime], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.at < floor(until, MINUTE):
            found[sample.series, floor(sample.at, MINUTE)].append(sample)
    return {key: _minute(each) for key, each in found.items()}


def _minute(samples: Sequence[Sample]) -> Row:
    numbers = [
        (each.at, each.value)
        for each in samples
        if each.value is not None and math.isfinite(each.value)
    ]
    if not numbers:
        return Row(None, None, None, None, len(samples))
    values = [value for _, value in numbers]
    mean = math.fsum(min(max(value, -1e280), 1e280) for value in values) / len(values)
    return Row(min(values), max(values), mean, max(numbers)[1], len(samples))


def combined(rows: Rows, width: timedelta, until: datetime) -> Rows:
    """What hours, or wider buckets, of these minutes must be; those that end before `until`."""
    found: dict[tuple[int, datetime], list[tuple[datetime, Row]]] = defaultdict(list)
    for (series_, at), row in rows.items():
        begin = floor(at, width)
        if begin + width <= until:
            found[series_, begin].append((at, row))
    return {key: _combined([row for _, row in sorted(each)]) for key, each in found.items()}


def _combined(rows: Sequence[Row]) -> Row:
    count = sum(row.size for row in rows)
    known = [row for row in rows if row.mean is not None]
    if not known:
        return Row(None, None, None, None, count)
    weight = sum(row.size for row in known)
    return Row(
        min(row.minimum for row in known if row.minimum is not None),
        max(row.maximum for row in known if row.maximum is not None),
        math.fsum(row.mean * row.size for row in known if row.mean is not None) / weight,
        known[-1].last,
        count,
    )


def assert_same(found: Mapping[Any, Row], wanted: Mapping[Any, Row]) -> None:
    """Equal to the last bit, but for the mean, whose sum depends on the order."""
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        assert found[key]._replace(mean=None) == row._replace(mean=None), key
        assert is_close(found[key].mean, row.mean), (key, found[key].mean, row.mean)


def is_close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
