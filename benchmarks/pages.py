"""P6: pages over real HTTP, from a web process alone with its database, full of runs.

One person asks for one page after the other, so the figure is the server's time with nobody else
in the way. The limit beside it is an answer that asks the database nothing but `SELECT 1`.
"""

import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.result import Result
from demo import facility, processes
from demo.check import log_in
from demo.facility import Wishes
from demo.processes import Plan
from demo.state import State
from demo.supervisor import Supervisor

INSTRUMENTS = 40
_WARM_UP = 20
_ASKED = 200
_ALLOWED = 30.0  # milliseconds

# One run every 90 s at the facility, ten events of each; most are done, some are not.
_ROWS = """
INSERT INTO workflow_instrument (name, facility)
SELECT 'bench' || lpad(n::text, 2, '0'), 'SNS' FROM generate_series(1, %(instruments)s) n;
INSERT INTO workflow_proposal (name) SELECT 'IPTS-' || n FROM generate_series(1, 500) n;
INSERT INTO workflow_run (instrument_id, proposal_id, number, data_file, created_at, data_ready_at,
                          cataloguing, reduction, reduction_cataloguing)
SELECT i.id, p.id, 1 + n / %(instruments)s, '/SNS/' || upper(i.name) || '/nexus/' || n, at.at,
       CASE WHEN kind.acquires THEN NULL ELSE at.at END,
       CASE WHEN kind.acquires THEN 0 ELSE 5 END,
       CASE WHEN kind.acquires THEN 0 WHEN kind.fails THEN 3 WHEN n %% 50 = 1 THEN 4 ELSE 5 END,
       CASE WHEN kind.acquires OR kind.fails OR n %% 50 = 1 THEN 0 ELSE 5 END
  FROM generate_series(0, %(runs)s - 1) n
  CROSS JOIN LATERAL (SELECT now() - (%(runs)s - n) * interval '90 seconds' AS at) at
  CROSS JOIN LATERAL (SELECT n > %(runs)s - 20 AS acquires, n %% 400 = 7 AS fails) kind
  JOIN workflow_instrument i ON i.name = 'bench' || lpad((1 + n %% %(instruments)s)::text, 2, '0')
  JOIN workflow_proposal p ON p.name = 'IPTS-' || (1 + n %% 500);
INSERT INTO workflow_job (run_id, instrument_id, step, attempt, queue, phase, requested_by,
                          requested_at, sent_at, started_at, ended_at, agent, error)
SELECT r.id, r.instrument_id, step.name, 1, '/queue/REDUCTION.DATA_READY', step.phase, '',
       r.created_at, r.created_at,
       r.created_at + interval '1 second', r.created_at + interval '9 seconds',
       'autoreducer3', CASE WHEN step.phase = 3 THEN 'REDUCTION: vanadium is missing' ELSE '' END
  FROM workflow_run r
  CROSS JOIN LATERAL (VALUES ('cataloguing', r.cataloguing), ('reduction', r.reduction),
                             ('reduction_cataloguing', r.reduction_cataloguing)) step (name, phase)
 WHERE step.phase > 0;
INSERT INTO workflow_event (run_id, queue, message_id, received_at, information, error, body)
SELECT r.id, 'REDUCTION.STARTED', 'ID:bench-' || r.id || '-' || n, r.created_at, 'autoreducer3', '',
       jsonb_build_object('run_number', r.number, 'data_file', r.data_file)
  FROM workflow_run r CROSS JOIN generate_series(1, 10) n;
"""


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
    with tempfile.TemporaryDirectory(prefix="webmon-bench-") as folder:
        state = State(Path(folder))
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        plan = facility.plan(state, Wishes(0, simulator=False, broker=None))
        try:
            facility.start_database_and_broker(supervisor, plan)
            _fill(plan, runs)
            supervisor.start(processes.web(plan))
            yield plan
        finally:
            supervisor.stop()


def _fill(plan: Plan, runs: int) -> None:
    # The client fills in the numbers: PostgreSQL takes no parameters for many statements at once.
    with psycopg.connect(plan.postgres.url, autocommit=True) as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(_ROWS, {"instruments": INSTRUMENTS, "runs": runs})
        cursor.execute("VACUUM ANALYZE")
