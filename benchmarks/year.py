"""A year of a value each second for some PVs, written by the database itself.

A value is a slow movement that changes with the minute, and within the minute one of sixty steps
above it. So what a minute and an hour hold follows from the formula, and years of rollups need no
samples. The last second of each minute is not the highest one.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

YEAR = timedelta(days=365)

_DAY = timedelta(days=1)
_HEIGHT = 4.0

# The slow movement of the series of place `n` in the minute that begins at epoch second `m`.
_SLOW = """(
    300 + 10 * n + 40 * sin(m / 2500000.0 + n) + 15 * sin(m / 13750.0)
    + 6 * sin(m / 570.0 * (1 + n / 8.0))
    + CASE WHEN (m / 60 + n * 7919) %% 20011 = 0 THEN 150 ELSE 0 END
)"""
_STEP = "(s * 7 + n) %% 60"

_INSTRUMENT = """
INSERT INTO workflow_instrument (name, facility) VALUES (%(instrument)s, 'SNS')
ON CONFLICT (name) DO NOTHING
"""
_SERIES = """
INSERT INTO dasmon_series (instrument_id, kind, name)
SELECT i.id, 0, wanted.name
FROM workflow_instrument AS i, unnest(%(names)s::text[]) AS wanted (name)
WHERE i.name = %(instrument)s
ON CONFLICT DO NOTHING
"""
_PLACES = """
    SELECT s.id, wanted.n::int
    FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, n)
    JOIN dasmon_series AS s ON s.name = wanted.name AND s.kind = 0
    JOIN workflow_instrument AS i ON i.id = s.instrument_id AND i.name = %(instrument)s
"""
_SAMPLES = f"""
INSERT INTO dasmon_sample (at, received_at, value, series_id, status)
SELECT t.at, t.at + interval '40 ms', {_SLOW} + {_HEIGHT} * ({_STEP}) / 60.0, place.id, 0
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 s', '1 s') AS t (at)
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM date_trunc('minute', t.at))::bigint AS m,
        extract(second FROM t.at)::int AS s
) AS clock
CROSS JOIN ({_PLACES}) AS place
"""
_MINUTES = f"""
INSERT INTO dasmon_minute (at, minimum, maximum, mean, last, series_id, count)
SELECT t.at, slow, slow + {_HEIGHT} * 59 / 60.0, slow + {_HEIGHT} * 29.5 / 60.0,
    slow + {_HEIGHT} * ({_STEP}) / 60.0, place.id, 60
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 s', '1 min')
    AS t (at)
CROSS JOIN ({_PLACES}) AS place
CROSS JOIN LATERAL (SELECT extract(epoch FROM t.at)::bigint AS m, 59 AS s) AS clock
CROSS JOIN LATERAL (SELECT {_SLOW} AS slow) AS movement
"""
_HOURS = f"""
INSERT INTO dasmon_hour (at, minimum, maximum, mean, last, series_id, count)
SELECT date_trunc('hour', m.at, 'UTC'), min(minimum), max(maximum), avg(mean),
    (array_agg(last ORDER BY m.at DESC))[1], place.id, sum(count)
FROM ({_PLACES}) AS place JOIN dasmon_minute AS m ON m.series_id = place.id
WHERE m.at >= %(begin)s AND m.at < date_trunc('hour', %(end)s::timestamptz, 'UTC')
GROUP BY place.id, date_trunc('hour', m.at, 'UTC')
"""
_LATEST = """
INSERT INTO dasmon_latest (series_id, at, received_at, value, status)
SELECT DISTINCT ON (s.series_id) s.series_id, s.at, s.received_at, s.value, s.status
FROM dasmon_sample AS s
WHERE s.at >= %(end)s::timestamptz - interval '1 min' AND s.at < %(end)s
ORDER BY s.series_id, s.at DESC
ON CONFLICT (series_id) DO UPDATE SET at = excluded.at, received_at = excluded.received_at,
    value = excluded.value
"""
_ROLLED_UP = """
INSERT INTO dasmon_rolled_up (id, received_before) VALUES (1, %(end)s)
ON CONFLICT (id) DO UPDATE
SET received_before = greatest(dasmon_rolled_up.received_before, excluded.received_before)
"""


class Cursor(Protocol):
    def execute(self, query: str, params: Any = None, /) -> Any: ...


class Connection(Protocol):
    """Django's connection, or one of psycopg."""

    def cursor(self) -> AbstractContextManager[Any]: ...


def generate(
    connection: Connection,
    instrument: object,
    names: list[str],
    end: datetime,
    raw_days: int,
    length: timedelta = YEAR,
) -> None:
    """Write values at 1 Hz before `end`: minutes and hours of `length`, samples of `raw_days`.

    The instrument (a name, or what has one) and the series are made. `end` is cut to the minute.
    What is there already of these names at these times would be in the way.
    """
    end = end.astimezone(UTC).replace(second=0, microsecond=0)
    begin = (end - length).replace(hour=0, minute=0)
    raw_begin = max(begin, end - raw_days * _DAY)
    values = {
        "instrument": str(getattr(instrument, "name", instrument)).lower(),
        "names": names,
        "end": end,
        "begin": begin,
    }
    with connection.cursor() as cursor:
        _provide_partitions(cursor, begin, raw_begin, end)
        for statement in (_INSTRUMENT, _SERIES):
            cursor.execute(statement, values)
        _write_samples(cursor, raw_begin, values)
        for statement in (_MINUTES, _HOURS, _LATEST, _ROLLED_UP):
            cursor.execute(statement, values)
        for table in ("dasmon_sample", "dasmon_minute", "dasmon_hour", "dasmon_series"):
            cursor.execute(f"ANALYZE {table}")


def _write_samples(cursor: Cursor, begin: datetime, values: dict[str, Any]) -> None:
    """A day at a time, so that the indexes of one partition stay in memory."""
    end: datetime = values["end"]
    while begin < end:
        following = min(end, _midnight(begin) + _DAY)
        cursor.execute(_SAMPLES, values | {"begin": begin, "end": following})
        begin = following


def _provide_partitions(
    cursor: Cursor, begin: datetime, raw_begin: datetime, end: datetime
) -> None:
    day = _midnight(raw_begin)
    while day < end:
        _provide(cursor, "dasmon_sample", f"{day:%Y_%m_%d}", day, day + _DAY)
        day += _DAY
    month = _midnight(begin).replace(day=1)
    while month < end:
        following = (month + 31 * _DAY).replace(day=1)
        _provide(cursor, "dasmon_minute", f"{month:%Y_%m}", month, following)
        month = following


def _provide(cursor: Cursor, table: str, suffix: str, begin: datetime, end: datetime) -> None:
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {table}_{suffix} PARTITION OF {table}"
        f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
    )


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
