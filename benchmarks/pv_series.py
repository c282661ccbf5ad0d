"""P8: a year of a value each second of eight PVs, drawn at every zoom, and what a value weighs.

What is measured is the time of the server for one range: the question to PostgreSQL and the answer
as JSON, with nobody else in the way. The limit beside it is a question for one name.

python3 -m benchmarks.pv_series --whole-year     stores every sample of the year: a quarter billion
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.result import Result, table
from benchmarks.year import YEAR, generate
from demo import facility
from demo.facility import Wishes
from demo.state import State
from demo.supervisor import Supervisor

POINTS = 2000
RAW_DAYS = 30

_ALLOWED = 150.0  # milliseconds
_ASKED = 40
_WARM_UP = 3
_PARTS = ("at", "minimum", "maximum", "mean", "last", "count", "texts")
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_NAMES = [f"BL18:Bench:PV{number}" for number in range(1, 9)]

# As a person does it: into one minute, and out again.
ZOOMS = {
    "a year": YEAR,
    "a month": 30 * _DAY,
    "a week": 7 * _DAY,
    "a day": _DAY,
    "an hour": _HOUR,
    "a minute": timedelta(minutes=1),
}
_WEIGHTS = {
    "a sample": ("dasmon_sample", 100.0),
    "a minute": ("dasmon_minute", 150.0),
    "an hour": ("dasmon_hour", 150.0),
}


def measure(*, raw_days: int = RAW_DAYS, whole_year: bool = False) -> list[Result]:
    """P8 for one PV and for eight, at every zoom; then bytes per row, heap and index."""
    days = YEAR.days if whole_year else raw_days
    with _database() as address:
        end = datetime.now(UTC)
        with psycopg.connect(address, autocommit=True) as connection:
            generate(connection, "bench", _NAMES, end, days)
            connection.execute("VACUUM ANALYZE")
            weights = list(_weights(connection))
        return [*_drawn(end, days), *weights]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.pv_series", description=__doc__)
    parser.add_argument("--raw-days", type=int, default=RAW_DAYS)
    parser.add_argument("--whole-year", action="store_true")
    options = parser.parse_args()
    results = measure(raw_days=options.raw_days, whole_year=options.whole_year)
    print(table(results))
    return 0 if all(result.is_met for result in results) else 1


def _drawn(end: datetime, days: int) -> Iterator[Result]:
    from dasmon_listener.selectors import known_names, pv_series  # noqa: PLC0415
    from workflow_manager.models import Instrument  # noqa: PLC0415

    instrument = Instrument.objects.get(name="bench")
    limit = _slowest(lambda _: known_names(instrument, "PV1"))
    for number in (1, 8):
        names = _NAMES[:number]
        for zoom, length in ZOOMS.items():

            def draw(step: int, length: timedelta = length, names: list[str] = names) -> None:
                # Never the same range twice, as far as there are samples for so short ones.
                until = end - (step % max(1, min(days, 20))) * _DAY - step * _HOUR / 7
                drawn = pv_series(names, until - length, until, POINTS, instrument=instrument)
                json.dumps([[getattr(each, part) for part in _PARTS] for each in drawn])
                assert all(each.at and len(each.at) <= POINTS for each in drawn)

            yield _result(f"{zoom} of {number} PVs, {days} days raw", _slowest(draw), limit)


def _result(what: str, ours: float, limit: float) -> Result:
    return Result(
        bar="P8",
        what=what,
        ours=ours,
        limit=limit,
        unit="ms",
        lost=0,
        needed=_ALLOWED,
        is_better="lower",
    )


def _slowest(draw: Any) -> float:
    """The 95th percentile in milliseconds."""
    for step in range(_WARM_UP):
        draw(step)
    return statistics.quantiles([_milliseconds(draw, step) for step in range(_ASKED)], n=20)[-1]


def _milliseconds(draw: Any, step: int) -> float:
    started = time.perf_counter()
    draw(step)
    return 1000 * (time.perf_counter() - started)


def _weights(connection: psycopg.Connection) -> Iterator[Result]:
    """The limit is the eight bytes of the number and the eight of its time."""
    for what, (name, needed) in _WEIGHTS.items():
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid)), sum(c.reltuples) FROM pg_class AS c"
            " WHERE c.relkind = 'r' AND c.reltuples > 1000 AND %(name)s::regclass IN (c.oid,"
            " (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid))",
            {"name": name},
        ).fetchone()
        assert found is not None
        yield Result(
            bar="P8",
            what=f"stored: {what}, with its index",
            ours=float(found[0]) / float(found[1]),
            limit=16.0,
            unit="bytes",
            lost=0,
            needed=needed,
            is_better="lower",
        )


@contextmanager
def _database() -> Iterator[str]:
    """An empty database for Django in this process; its address."""
    with tempfile.TemporaryDirectory(prefix="webmon-bench-") as folder:
        state = State(Path(folder))
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        plan = facility.plan(state, Wishes(0, simulator=False, broker=None))
        try:
            facility.start_database_and_broker(supervisor, plan)
            _set_up(plan.postgres.environment)
            yield plan.postgres.url
        finally:
            _tear_down()
            supervisor.stop()


def _set_up(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    os.environ.setdefault("APP_SECRET", "x" * 50)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmon.settings")
    import django  # noqa: PLC0415

    django.setup()


def _tear_down() -> None:
    from django.db import connections  # noqa: PLC0415

    connections.close_all()


if __name__ == "__main__":
    sys.exit(main())
