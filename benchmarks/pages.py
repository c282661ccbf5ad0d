"""P6: pages over real HTTP, from a web process alone with its database, full of runs.

One person asks for one page after the other, so the figure is the server's time with nobody else
in the way. The limit beside it is an answer that asks the database nothing but `SELECT 1`.
"""

import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.history import INSTRUMENTS, fill
from benchmarks.result import Result
from demo import facility, processes
from demo.check import log_in
from demo.facility import Wishes
from demo.processes import Plan
from demo.state import State
from demo.supervisor import Supervisor

_WARM_UP = 20
_ASKED = 200
_ALLOWED = 30.0  # milliseconds


def measure(runs: int) -> list[Result]:
    """Milliseconds until the last byte of each page, for the slowest of twenty answers."""
    with full_facility(runs) as plan, closing(_Person(plan)) as person:
        limit = person.slowest("/ht/")
        return [
            _result(name, person, address, limit, runs) for name, address in _pages(runs).items()
        ]


def _pages(runs: int) -> dict[str, str]:
    number = max(1, runs // INSTRUMENTS // 2)
    return {
        "home": "/dasmon/",
        "runs of all instruments": "/report/",
        "runs of one instrument": "/report/bench07/",
        "failed runs": "/report/?state=failed",
        "acquiring runs": "/report/?state=acquiring",
        "failed runs of one instrument": "/report/bench08/?state=failed",
        "a run": f"/report/bench07/{number}/",
    }


def _result(name: str, person: "_Person", address: str, limit: float, runs: int) -> Result:
    return Result(
        bar="P6",
        what=f"{name}, {INSTRUMENTS} instruments, {runs:,} runs",
        ours=person.slowest(address),
        limit=limit,
        unit="ms",
        lost=0,
        needed=_ALLOWED,
        is_better="lower",
    )


class _Person:
    """Somebody who is logged in, with one connection that stays open."""

    def __init__(self, plan: Plan) -> None:
        session = log_in(plan.web_url, "user", plan.secrets.people["user"])
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
        self._headers = {"Cookie": cookies, "Accept": "text/html"}
        self._connection = http.client.HTTPConnection(urlsplit(plan.web_url).netloc, timeout=30)

    def slowest(self, address: str) -> float:
        """The 95th percentile in milliseconds."""
        for _ in range(_WARM_UP):
            self._ask(address)
        return statistics.quantiles([self._ask(address) for _ in range(_ASKED)], n=20)[-1]

    def close(self) -> None:
        self._connection.close()

    def _ask(self, address: str) -> float:
        started = time.perf_counter()
        self._connection.request("GET", address, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{address} answered {answer.status}")
        return 1000 * (time.perf_counter() - started)


@contextmanager
def full_facility(runs: int) -> Iterator[Plan]:
    """A database with `runs` runs and one web process."""
    with web_alone(lambda database: fill(database, runs)) as plan:
        yield plan


@contextmanager
def web_alone(prepare: Callable[[str], None]) -> Iterator[Plan]:
    """A database, to whose address `prepare` writes something first, and one web process."""
    with tempfile.TemporaryDirectory(prefix="webmon-bench-") as folder:
        state = State(Path(folder))
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        plan = facility.plan(state, Wishes(0, simulator=False, broker=None))
        try:
            facility.start_database_and_broker(supervisor, plan)
            prepare(plan.postgres.url)
            supervisor.start(processes.web(plan))
            yield plan
        finally:
            supervisor.stop()
