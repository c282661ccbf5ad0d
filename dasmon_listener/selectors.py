"""What pages ask about values: one query for one question.

Nothing here writes, and nothing here returns a query that is still to run.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection
from django.db.models import Q

from dasmon_listener.domain.envelopes import Envelope, Grain, Reading, Span, reading
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Gap, Latest
from dasmon_listener.sql import ENVELOPES, VALUES
from workflow_manager.models import Instrument

__all__ = [
    "Envelope",
    "KnownName",
    "LatestValue",
    "MonitoredValue",
    "gaps",
    "known_names",
    "latest_values",
    "monitored_pvs",
    "pv_series",
]

# Larger integers are not exact in a float.
_EXACT = 1e15


@dataclass(frozen=True, slots=True)
class LatestValue:
    """The newest value of a series. `at` is the sender's time, `received_at` ours.

    `status` is the code of the data acquisition, 0 if good; None for status values.
    """

    name: str
    kind: Kind
    value: float | None
    text: str | None
    status: int | None
    at: dt.datetime
    received_at: dt.datetime
    unit: str

    @property
    def shown(self) -> str:
        """The value as people read it: the text as it came, or the number."""
        return shown_number(self.value) if self.text is None else self.text


@dataclass(frozen=True, slots=True)
class MonitoredValue:
    """A PV that an instrument's page shows; `latest` is None until it has a value."""

    name: str
    rule_name: str
    latest: LatestValue | None


@dataclass(frozen=True, slots=True)
class KnownName:
    """A series that can be drawn; `at` is the time of its newest value, None if that is gone."""

    name: str
    kind: Kind
    at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a wanted name is found; without `series` nowhere."""

    name: str
    series: int | None
    rate: float


def pv_series(
    names: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    points: int = 1000,
    *,
    instrument: Instrument | None = None,
    kind: Kind = Kind.PV,
) -> list[Envelope]:
    """An envelope of each name from `start` until before `end`, in the order of the names.

    Each has at most `points` buckets, or the samples themselves if there are no more than that and
    they are still kept. It is exact at its level: whole minutes or hours where that was read, so
    the first and the last bucket may reach over the range. A name that nobody knows has no points.
    Without an instrument it is, of several series of a name, the one that was heard last.
    """
    places, raw_since, rolled_up_before = _places(names, end, instrument, kind)
    known = [place for place in places if place.series is not None]
    range_ = Span(start, max(start, end))
    rates = [place.rate for place in known]
    plan = reading(range_, points, rates, raw_since=raw_since, rolled_up_before=rolled_up_before)
    drawn = _buckets(plan, [place.series for place in known]) if known else {}
    if raw_since is not None and start >= raw_since:
        few = [series for series, rows in drawn.items() if sum(row[6] for row in rows) <= points]
        samples = _samples(range_, few)
    else:
        samples = {}
    others = [
        series
        for series, rows in drawn.items()
        if plan.grain is Grain.RAW and series not in samples and any(row[7] for row in rows)
    ]
    texts = _texts(range_, others, points)
    return [
        _of_samples(place.name, samples[place.series])
        if place.series in samples
        else _of_buckets(
            place.name, plan.grain, drawn.get(place.series, []), texts.get(place.series, [])
        )
        for place in places
    ]


def latest_values(
    instrument: Instrument, kind: Kind | None = None, names: Sequence[str] | None = None
) -> list[LatestValue]:
    """The newest value of each series of an instrument, by name."""
    wanted = Q(series__instrument=instrument)
    if kind is not None:
        wanted &= Q(series__kind=kind)
    if names is not None:
        wanted &= Q(series__name__in=names)
    rows = Latest.objects.filter(wanted).order_by("series__name", "series__kind")
    fields = ("value", "text", "status", "at", "received_at", "series__unit")
    return [
        LatestValue(name, Kind(number), *rest)
        for name, number, *rest in rows.values_list("series__name", "series__kind", *fields)
    ]


def monitored_pvs(instrument: Instrument) -> list[MonitoredValue]:
    """The PVs that were chosen for an instrument's page, in their order."""
    rows = _rows(VALUES["monitored"], {"instrument": instrument.pk})
    return [MonitoredValue(name, rule, _latest(name, *rest)) for name, rule, *rest in rows]


def known_names(instrument: Instrument, part: str, limit: int = 50) -> list[KnownName]:
    """Names of series that contain `part` in any case, at most `limit`; those it begins first."""
    values = {"instrument": instrument.pk, "part": part, "limit": limit}
    return [KnownName(name, Kind(kind), at) for name, kind, at in _rows(VALUES["known"], values)]


def gaps(instrument: Instrument, start: dt.datetime, end: dt.datetime) -> list[Gap]:
    """Times in a range of which values of an instrument, or of all, are missing; oldest first."""
    concerned = Q(instrument=instrument) | Q(instrument=None)
    return list(
        Gap.objects.filter(concerned, ended_at__gt=start, began_at__lt=end).order_by("began_at")
    )


def shown_number(value: float | None) -> str:
    """A number with six digits; an integer with all of its own."""
    if value is None:
        return ""
    if math.isfinite(value) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    return f"{value:.6g}"


def _latest(name: str, kind: int | None, *rest: Any) -> LatestValue | None:
    """None if the series is unknown, or its newest value is gone."""
    at = rest[3]
    return None if kind is None or at is None else LatestValue(name, Kind(kind), *rest)


def _places(
    names: Sequence[str], end: dt.datetime, instrument: Instrument | None, kind: Kind
) -> tuple[list[_Place], dt.datetime | None, dt.datetime | None]:
    values = {
        "names": list(names),
        "end": end,
        "instrument": None if instrument is None else instrument.pk,
        "kind": kind.value,
    }
    rows = _rows(ENVELOPES["places"], values)
    raw_since, rolled_up_before = rows[0][3:] if rows else (None, None)
    return [_Place(*row[:3]) for row in rows], raw_since, rolled_up_before


_Rows = list[tuple[Any, ...]]


def _buckets(plan: Reading, series: Sequence[int | None]) -> dict[int | None, _Rows]:
    values: dict[str, Any] = {"series": list(series), "width": plan.width}
    for part in ("hours", "minutes", "samples"):
        span: Span = getattr(plan, part)
        values |= {f"{part}_begin": span.begin, f"{part}_end": span.end}
    return _by_series(_rows_of_numbers(ENVELOPES["buckets"], values))


def _samples(range_: Span, series: Sequence[int | None]) -> dict[int | None, _Rows]:
    if not series:
        return {}
    values = {"series": list(series), "begin": range_.begin, "end": range_.end}
    # A series without a sample in the range has no rows, and is drawn from samples all the same.
    return {each: [] for each in series} | _by_series(_rows(ENVELOPES["samples"], values))


def _texts(
    range_: Span, series: Sequence[int | None], points: int
) -> dict[int | None, list[tuple[float, str]]]:
    if not series:
        return {}
    values = {"series": list(series), "points": points}
    values |= {"begin": range_.begin, "end": range_.end}
    found = _by_series(_rows(ENVELOPES["texts"], values))
    return {each: [(at, text) for _, at, text in rows] for each, rows in found.items()}


def _of_buckets(name: str, grain: Grain, rows: _Rows, texts: list[tuple[float, str]]) -> Envelope:
    _, at, minimum, maximum, mean, last, count, _ = _columns(rows, 8)
    return Envelope(name, grain.value, at, minimum, maximum, mean, last, count, texts)


def _of_samples(name: str, rows: _Rows) -> Envelope:
    _, at, value, _ = _columns(rows, 4)
    texts = [(at, text) for _, at, value, text in rows if value is None]
    raw = Grain.RAW.value
    return Envelope(name, raw, at, value, value, value, value, [1] * len(rows), texts)


def _columns(rows: _Rows, width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


def _by_series(rows: Iterable[tuple[Any, ...]]) -> dict[int | None, _Rows]:
    found: dict[int | None, _Rows] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _rows(statement: str, values: Mapping[str, Any]) -> _Rows:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _rows_of_numbers(statement: str, values: Mapping[str, Any]) -> _Rows:
    """As numbers are in memory: written and read as text, thousands cost as much as the answer."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, values, prepare=False, binary=True)
        return cursor.fetchall()
