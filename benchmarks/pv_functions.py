"""P9: PVs through the functions in the database, one call each and in bulk, and a day dropped.

Singly, a call is one statement with everything in its text, as the data acquisition sends it. The
contenders take turns within the same seconds, on one connection: the replaced system's function,
an INSERT, and the limits of any function: one that only appends to a table without an index, and
one that does nothing. Where commits are quick both are less than five times as fast as the replaced
function, and the bar is out of reach.
"""

import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from psycopg import ClientCursor

from benchmarks.result import Result
from tests.postgres import provide

INSTRUMENTS = 40
PVS = 23_000
_TURNS = 7
_SECONDS_A_TURN = 0.4
_BATCHES = 6
_OLD_DAY_ROWS = 1_000_000
_INGEST_BATCH = 1_000
_INGEST_PERIOD = 0.1  # seconds
_TIMES_FASTER = 5.0
_BULK_BAR = 50_000.0  # values a second
_DROP_BAR = 1.0  # seconds
_LAG_BAR = 0.25  # seconds

_REPLACED = Path(__file__).with_name("replaced_functions.sql")
_SETUP = """
INSERT INTO workflow_instrument (name) SELECT 'i' || n FROM generate_series(0, {instruments} - 1) n;
INSERT INTO old_instrument (name) SELECT name FROM workflow_instrument;
INSERT INTO old_name (name, monitored)
SELECT 'BL14B:Mot:s' || n, true FROM generate_series(0, {pvs} - 1) n;
INSERT INTO old_cache (instrument_id, name_id, value, status, timestamp)
SELECT 1 + (n - 1) % {instruments}, n, 0, 0, now() FROM generate_series(1, {pvs}) n;
"""
_FILL_YESTERDAY = """
INSERT INTO dasmon_sample (at, received_at, value, series_id, status)
SELECT at, at, n, 1 + n % 60, 0
FROM generate_series(1, {rows}) n
CROSS JOIN LATERAL (SELECT date_trunc('day', now(), 'UTC') - interval '1 day'
    + n * interval '80 ms' AS at) AS moment
"""
_FILL_REPLACED = """
INSERT INTO old_pv (value, status, instrument_id, name_id, timestamp)
SELECT n, 0, 1 + n % {instruments}, 1 + n * 7919 % {pvs}, now() + n * interval '1 ms'
FROM generate_series(1, 200000) AS n
"""


def measure() -> list[Result]:
    """All of P9 on a server of its own."""
    provide()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmon.settings")
    # Django reads its settings, and with them the database, when it is first imported.
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    parameters = connection.get_connection_params()
    address = psycopg.conninfo.make_conninfo(
        **{name: parameters[name] for name in ("host", "port", "user", "password", "dbname")}
    )
    with psycopg.connect(address, autocommit=True) as link:
        _set_up(link)
        return [*_singly(link), *_in_bulk(link), *_sizes(link), *_a_day_dropped(link, address)]


def _set_up(link: psycopg.Connection) -> None:
    link.execute(_REPLACED.read_text(encoding="utf-8").encode())
    link.execute(_SETUP.format(instruments=INSTRUMENTS, pvs=PVS).encode())
    _put(link, _document(PVS))
    link.execute("VACUUM ANALYZE")


def _singly(link: psycopg.Connection) -> Iterator[Result]:
    cursor = ClientCursor(link)
    now = int(time.time())

    def calling(function: str, value: str) -> Callable[[int], object]:
        def call(n: int) -> object:
            pv = n * 7919 % PVS
            # Texts of statements are made here on purpose: so they are sent.
            return cursor.execute(
                f"select {function}('I{pv % INSTRUMENTS}'::text,"
                f"'BL14B:Mot:s{pv}',{value},0,{now + n // 1000})".encode()
            )

        return call

    def insert(n: int) -> object:
        values = f"({n}, now(), 3.5)"
        return cursor.execute(f"INSERT INTO plain (name, at, value) VALUES {values}".encode())  # noqa: S608

    rates = _rates(
        {
            "pvUpdate": calling("pvUpdate", "3.5"),
            "pvStringUpdate": calling("pvStringUpdate", "'Histogram'"),
            "replaced": calling("old_update", "3.5"),
            "nothing": calling("nothing", "3.5"),
            "append": calling("append", "3.5"),
            "insert": insert,
            "select": lambda _: cursor.execute("SELECT 1"),
        }
    )
    replaced, limit = rates["replaced"], rates["nothing"]
    yield _calls(
        f"pvUpdate, {rates['pvUpdate'] / replaced:.1f} times the replaced one (limit: a function "
        "that does nothing)",
        rates["pvUpdate"],
        limit,
        _TIMES_FASTER * replaced,
    )
    yield _calls("pvStringUpdate (the same limit)", rates["pvStringUpdate"], limit, replaced)
    yield _calls("for comparison: the replaced pvUpdate", replaced, limit, 0)
    times = rates["append"] / replaced
    what = f"for comparison: append only, no index, {times:.1f} times the replaced one"
    yield _calls(what, rates["append"], limit, 0)
    yield _calls("for comparison: INSERT, committed each", rates["insert"], limit, 0)
    yield _calls("for comparison: SELECT 1", rates["select"], limit, 0)


def _calls(what: str, ours: float, limit: float, needed: float) -> Result:
    return Result("P9", what, ours, limit, "calls/s", 0, needed)


def _rates(contenders: dict[str, Callable[[int], object]]) -> dict[str, float]:
    """Calls a second of each: the median of turns that all take one after the other."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(_TURNS):
        for name, call in contenders.items():
            began = time.perf_counter()
            calls = 0
            while time.perf_counter() < began + _SECONDS_A_TURN:
                call(turn * 100_000 + calls)
                calls += 1
            rates[name].append(calls / (time.perf_counter() - began))
    return {name: statistics.median(turns) for name, turns in rates.items()}


def _document(pvs: int) -> str:
    """A batch as a sender makes it, with a value of each PV."""
    now = time.time()
    return json.dumps(
        [
            {
                "instrument": f"I{n % INSTRUMENTS}",
                "name": f"BL14B:Mot:s{n}",
                "value": n * 0.5,
                "status": 0,
                "timestamp": now,
            }
            for n in range(pvs)
        ]
    )


def _put(link: psycopg.Connection, document: str) -> int:
    row = link.execute("SELECT pvUpdateBatch(%s::jsonb)", [document]).fetchone()
    assert row is not None
    return int(row[0])


def _in_bulk(link: psycopg.Connection) -> Iterator[Result]:
    before = _samples(link)
    bulk, indexed, lean = [], [], []
    for _ in range(_BATCHES):
        document = _document(PVS)
        bulk.append(_speed(partial(_put, link, document)))
        indexed.append(_speed(partial(_copy, link, "dasmon_sample")))
        lean.append(_speed(partial(_copy, link, "lean")))
    lost = before + 2 * _BATCHES * PVS - _samples(link)
    ours, limit = statistics.median(bulk), statistics.median(indexed)
    what = f"pvUpdateBatch of {PVS:,} PVs, history and latest (limit: COPY into history only)"
    yield Result("P9", what, ours, limit, "values/s", lost, _BULK_BAR)
    what = "for comparison: COPY into history (limit: COPY into a table without index)"
    yield Result("P9", what, limit, statistics.median(lean), "values/s", 0, 0)


def _speed(store: Callable[[], object]) -> float:
    began = time.perf_counter()
    store()
    return PVS / (time.perf_counter() - began)


def _copy(link: psycopg.Connection, table: str) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rows = "".join(f"{at}\t{at}\t{n * 0.5}\t{1 + n}\t0\n" for n in range(PVS))
    statement = f"COPY {table} (at, received_at, value, series_id, status) FROM STDIN"
    with link.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(rows)


def _samples(link: psycopg.Connection) -> int:
    row = link.execute("SELECT count(*) FROM dasmon_sample").fetchone()
    assert row is not None
    return int(row[0])


def _sizes(link: psycopg.Connection) -> Iterator[Result]:
    """Bytes on disk of a stored value with its indexes; the replaced system's beside it."""
    link.execute(_FILL_REPLACED.format(instruments=INSTRUMENTS, pvs=PVS).encode())
    row = link.execute(
        "SELECT sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM dasmon_sample),"
        " pg_total_relation_size('old_pv')::numeric / (SELECT count(*) FROM old_pv)"
        " FROM pg_inherits WHERE inhparent = 'dasmon_sample'::regclass"
    ).fetchone()
    assert row is not None
    ours, theirs = float(row[0]), float(row[1])
    what = "bytes of a stored value with its indexes (limit: the replaced table)"
    yield Result("P9", what, ours, theirs, "bytes", 0, theirs, is_better="lower")


def _a_day_dropped(link: psycopg.Connection, address: str) -> Iterator[Result]:
    from dasmon_listener import partitions, rollups  # noqa: PLC0415

    link.execute(_FILL_YESTERDAY.format(rows=_OLD_DAY_ROWS).encode())
    today = partitions.Day.of(datetime.now(UTC))
    yesterday = today.after(-1)
    rollups.roll_up(datetime.now(UTC))  # a day goes only when it is rolled up
    with _ingest(address) as took:
        time.sleep(3)
        calm = max(took)
        before = len(took)
        began = time.perf_counter()
        dropped = partitions.forget_days_before(today.begin)
        seconds = time.perf_counter() - began
        time.sleep(1)
        busy = max(took[before:])
    assert yesterday.partition in dropped
    what = f"a day of {_OLD_DAY_ROWS:,} samples dropped during ingest (limit: the bar)"
    yield Result("P9", what, 1000 * seconds, 1000 * _DROP_BAR, "ms", 0, 1000 * _DROP_BAR, "lower")
    what = "longest wait of ingest meanwhile (limit: longest in the seconds before)"
    yield Result("P9", what, 1000 * busy, 1000 * calm, "ms", 0, 1000 * _LAG_BAR, "lower")


@contextmanager
def _ingest(address: str) -> Iterator[Sequence[float]]:
    """Ten thousand values a second; how long each batch took, from when it was due."""
    took: list[float] = []
    stop = threading.Event()

    def work() -> None:
        with psycopg.connect(address, autocommit=True) as link:
            due = time.perf_counter()
            while not stop.wait(max(0.0, due - time.perf_counter())):
                _put(link, _document(_INGEST_BATCH))
                took.append(time.perf_counter() - due)
                due += _INGEST_PERIOD

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()
