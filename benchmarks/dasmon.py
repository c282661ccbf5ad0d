"""P1: status values of many instruments, from the broker to the rows and the notices.

Forty instruments send messages of twenty values at a steady rate. A value is stored when its sample
is committed; it is *visible* when a notice of its instrument came after which its latest value can
be read. The lag goes from the sender's clock (the same machine's) to that moment, and is that of
each value: between two notices values became older evenly.

The limit beside it is COPY into a copy of the table of samples with its indexes, rows of the same
series in the same order, by one connection and with nothing else going on.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil
import psycopg

from benchmarks.instruments import SEQUENCE, VALUES_PER_MESSAGE, name
from benchmarks.plant import Plant
from benchmarks.result import Result
from demo import processes
from demo.facility import ROOT
from demo.processes import inherited_environment

INSTRUMENTS = 40
VALUES_BAR = 30_000.0  # a second
LAG_BAR = 1.0  # seconds, of 99 of 100 values
GROWTH_BAR = 1.1  # of memory, last minute against the second
_PATIENCE = 30.0  # seconds in which the last values must be there
_LIMIT_ROWS = 500_000

_LATEST = """
SELECT extract(epoch FROM latest.at) FROM dasmon_latest AS latest
JOIN dasmon_series AS series ON series.id = latest.series_id
JOIN workflow_instrument AS instrument ON instrument.id = series.instrument_id
WHERE instrument.name = %s AND series.name = %s
"""
_STORED = """
SELECT count(*) FROM dasmon_sample WHERE series_id IN (
    SELECT series.id FROM dasmon_series AS series
    JOIN workflow_instrument AS instrument ON instrument.id = series.instrument_id
    WHERE instrument.name = ANY(%s)
)
"""
_SIZE = """
SELECT sum(pg_relation_size(inhrelid)), sum(pg_indexes_size(inhrelid))
FROM pg_inherits WHERE inhparent = 'dasmon_sample'::regclass
"""
_LIMIT_TABLE = """
CREATE TABLE benchmark_sample (LIKE dasmon_sample INCLUDING DEFAULTS);
CREATE INDEX ON benchmark_sample (series_id, at);
CREATE INDEX ON benchmark_sample USING brin (received_at) WITH (pages_per_range = 32);
"""


@dataclass(slots=True)
class Watcher:
    """What a page would see: notices, and the newest value after each."""

    address: str
    stop: threading.Event = field(default_factory=threading.Event)
    lags: list[float] = field(default_factory=list)
    notices: int = 0

    def run(self) -> None:
        seen: dict[str, float] = {}
        with (
            psycopg.connect(self.address, autocommit=True) as listening,
            psycopg.connect(self.address, autocommit=True) as reading,
        ):
            listening.execute("LISTEN webmon")
            while not self.stop.is_set():
                for notice in listening.notifies(timeout=0.2):
                    kind, _, instrument = notice.payload.partition(" ")
                    if kind == "values":
                        self._look(reading, instrument, seen)

    def _look(self, reading: psycopg.Connection, instrument: str, seen: dict[str, float]) -> None:
        self.notices += 1
        row = reading.execute(_LATEST, (instrument, SEQUENCE)).fetchone()
        now = time.time()
        if row is None:
            return
        newest = float(row[0])
        oldest = seen.get(instrument, newest)
        if newest > oldest:
            self.lags += [now - oldest + (newest - oldest) * -part / 10 for part in range(1, 11)]
        seen[instrument] = newest


def measure(plant: Plant, broker_name: str, rate: float, seconds: float) -> list[Result]:
    """P1 at `rate` values a second for so many seconds; memory is judged from two minutes on."""
    watcher = Watcher(plant.address)
    watching = threading.Thread(target=watcher.run)
    with plant.running(processes.dasmon_listener(plant.plan)), plant.connect() as connection:
        _await_listener(connection)
        watching.start()
        memory = Memory(_listener_pid(connection))
        began = time.monotonic()
        sent = memory.while_running(_sender(plant, rate / VALUES_PER_MESSAGE, seconds))
        stored = _await_stored(connection, sent * VALUES_PER_MESSAGE)
        took = time.monotonic() - began
        watcher.stop.set()
        watching.join()
        heap, indexes = _one(connection, _SIZE)
        lost = max(0, sent * VALUES_PER_MESSAGE - stored)
        limit = _copy_limit(connection)
    values = stored / took
    print(
        f"{stored:,} values stored: {heap / stored:.0f} B a value, and {indexes / stored:.0f} B "
        f"of indexes; {watcher.notices} notices",
        file=sys.stderr,
    )
    results = [
        Result(
            bar="P1",
            what=f"values of {INSTRUMENTS} instruments stored, at {rate:,.0f} sent ({broker_name})",
            ours=values,
            limit=limit,
            unit="values/s",
            lost=lost,
            needed=VALUES_BAR,
        ),
        Result(
            bar="P1",
            what="visible lag, p99 (limit: p50)",
            ours=_quantile(watcher.lags, 0.99),
            limit=_quantile(watcher.lags, 0.5),
            unit="s",
            lost=lost,
            needed=LAG_BAR,
            is_better="lower",
        ),
    ]
    if seconds >= 180:
        results.append(memory.result())
    return results


@dataclass(slots=True)
class Memory:
    """Resident memory of the listener, in MB, over time."""

    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    def while_running(self, sender: subprocess.Popen[str]) -> int:
        """Look each second until the sender has ended; return how many messages it sent."""
        process, began = psutil.Process(self.pid), time.monotonic()
        while sender.poll() is None:
            megabytes = process.memory_info().rss / 1e6
            self.samples.append((time.monotonic() - began, megabytes))
            time.sleep(1)
        said, _ = sender.communicate()
        if sender.returncode != 0:
            raise RuntimeError("the sender failed")
        return int(said)

    def result(self) -> Result:
        end = self.samples[-1][0]
        second = [size for at, size in self.samples if 60 <= at < 120]
        last = [size for at, size in self.samples if at >= end - 60]
        before, after = _quantile(second, 0.5), _quantile(last, 0.5)
        minutes = [
            _quantile([size for at, size in self.samples if at // 60 == minute], 0.5)
            for minute in range(int(end // 60))
        ]
        told = ", ".join(f"{size:.0f}" for size in minutes)
        print(f"listener's memory by the minute, in MB: {told}", file=sys.stderr)
        return Result(
            bar="P1",
            what=f"listener's memory in the last of {end / 60:.0f} minutes (limit: in the second)",
            ours=after,
            limit=before,
            unit="MB",
            lost=0,
            needed=GROWTH_BAR * before,
            is_better="lower",
        )


def _sender(plant: Plant, rate: float, seconds: float) -> subprocess.Popen[str]:
    options = (("instruments", INSTRUMENTS), ("rate", rate), ("seconds", seconds))
    sender = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.instruments"),
            *(f"--{option}={value}" for option, value in options),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=inherited_environment(),
    )
    broker = plant.broker
    host, port = broker.brokers[0]
    where = {"host": host, "port": port, "user": broker.user, "password": broker.password}
    assert sender.stdin is not None
    sender.stdin.write(json.dumps(where))
    sender.stdin.close()
    sender.stdin = None
    return sender


def _await_listener(connection: psycopg.Connection) -> None:
    """Until it says that it is connected and writes."""
    deadline = time.monotonic() + _PATIENCE
    statement = "SELECT count(*) FROM dasmon_listener_process WHERE is_connected AND is_active"
    while not _one(connection, statement)[0]:
        if time.monotonic() > deadline:
            raise RuntimeError("the listener does not say that it listens")
        time.sleep(0.1)


def _listener_pid(connection: psycopg.Connection) -> int:
    """Of the newest listener; its name is host and process number."""
    (name_,) = _one(
        connection, "SELECT name FROM dasmon_listener_process ORDER BY alive_at DESC LIMIT 1"
    )
    return int(str(name_).replace(":", " ").split()[-1])


def _await_stored(connection: psycopg.Connection, expected: int) -> int:
    """How many benchmark values are there in the end."""
    deadline = time.monotonic() + _PATIENCE
    names = [name(number).lower() for number in range(INSTRUMENTS)]
    stored = 0
    while time.monotonic() < deadline:
        (stored,) = _one(connection, _STORED, (names,))
        if stored >= expected:
            break
        time.sleep(0.5)
    return stored


def _copy_limit(connection: psycopg.Connection) -> float:
    """Rows a second."""
    connection.execute(_LIMIT_TABLE)
    block = [
        f"2026-11-21 08:{row // 60_000 % 60:02}:{row // 1000 % 60:02}.{row % 1000:03}+00\t"
        f"2026-11-21 08:00:00+00\t{row / 8}\t{row % (INSTRUMENTS * VALUES_PER_MESSAGE)}\t\\N\t\\N\n"
        for row in range(_LIMIT_ROWS)
    ]
    lines = ["".join(block[start : start + 5000]) for start in range(0, _LIMIT_ROWS, 5000)]
    began = time.perf_counter()
    with connection.cursor().copy("COPY benchmark_sample FROM STDIN") as copy:
        for each in lines:
            copy.write(each)
    took = time.perf_counter() - began
    connection.execute("DROP TABLE benchmark_sample")
    return _LIMIT_ROWS / took


def _one(
    connection: psycopg.Connection, statement: str, values: Sequence[object] = ()
) -> tuple[int, ...]:
    row = connection.execute(statement, values).fetchone()
    assert row is not None
    found: tuple[int, ...] = row
    return found


def _quantile(figures: Sequence[float], part: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("inf")
