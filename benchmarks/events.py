"""P2: workflow events.

(a) Announcements that wait in the broker, until each is recorded, dispatched and acknowledged.
A run counts when both its jobs have left through the outbox with the broker's receipt and nothing
of it is left to acknowledge. Three messages a run: one in, two out.

(b) The whole chain, with an agent that has done everything at once. Ten messages a run pass the
broker, each sent with a receipt, stored, received and acknowledged once:

    POSTPROCESS.DATA_READY                                        to the manager     1
    CATALOG.ONCAT.DATA_READY, REDUCTION.DATA_READY                to the agent       2
    CATALOG.ONCAT.STARTED and .COMPLETE                           to the manager     2
    REDUCTION.STARTED and .COMPLETE                               to the manager     2
    REDUCTION_CATALOG.DATA_READY                                  to the agent       1
    REDUCTION_CATALOG.STARTED and .COMPLETE                       to the manager     2

The limit beside both is the same broker alone: the same number of persistent messages through
one queue, sent with receipts in batches and then received and acknowledged, through our own
client.
"""

import sys
import time
from datetime import datetime

import psycopg

from benchmarks.plant import Plant, announce, broker_limit, leftovers
from benchmarks.result import Result
from demo.processes import inherited_environment
from demo.supervisor import Process

MESSAGES_DISPATCHED = 3  # a run, (a)
MESSAGES_IN_ALL = 10  # a run, (b)
DISPATCH_BAR = 600.0  # runs a second
CHAIN_BAR = 0.4  # of the broker's limit
SECONDS = 300.0
_DISPATCHED = """
SELECT count(*) / 2, max(sent_at) FROM workflow_job
WHERE phase < 3 AND requested_at >= %(since)s AND sent_at IS NOT NULL
"""
_DONE = """
SELECT count(*), max(updated_at) FROM workflow_run
WHERE created_at >= %(since)s
    AND cataloguing = 5 AND reduction = 5 AND reduction_cataloguing = 5
"""
_FIRST = "SELECT min(created_at) FROM workflow_run WHERE created_at >= %(since)s"


def dispatch(plant: Plant, runs: int, broker_name: str) -> Result:
    """P2 (a)."""
    limit = broker_limit(plant.broker, MESSAGES_DISPATCHED * runs)
    rate, lost = dispatch_rate(plant, first=1, runs=runs)
    return Result(
        bar="P2a",
        what=f"DATA_READY recorded, dispatched, acknowledged ({broker_name}; "
        f"limit: {limit:,.0f} messages/s, three per run)",
        ours=rate,
        limit=limit / MESSAGES_DISPATCHED,
        unit="runs/s",
        lost=lost,
        needed=DISPATCH_BAR,
    )


def dispatch_rate(plant: Plant, first: int, runs: int) -> tuple[float, int]:
    """Runs a second, and how many were lost, of `runs` runs with numbers from `first`.

    The manager is started after the messages wait in the broker, so that the sender does not
    share the processors with it: the figure is the manager's own.
    """
    announce(plant.broker, range(first, first + runs))
    since = plant.now()
    with plant.running(plant.manager()):
        seconds, complete = await_all(plant, _DISPATCHED, since, runs)
    return runs / seconds, runs - complete + leftovers(plant.broker)


def chain(plant: Plant, runs: int, broker_name: str) -> Result:
    """P2 (b). The time that sending the announcements took counts too."""
    limit = broker_limit(plant.broker, MESSAGES_IN_ALL * runs)
    started = time.perf_counter()
    announce(plant.broker, range(1, runs + 1))
    sending = time.perf_counter() - started
    since = plant.now()
    with plant.running(_instant_agent(plant), plant.manager()):
        seconds, complete = await_all(plant, _DONE, since, runs)
    return Result(
        bar="P2b",
        what=f"runs through the whole chain ({broker_name}; {MESSAGES_IN_ALL} messages per run)",
        ours=MESSAGES_IN_ALL * runs / (seconds + sending),
        limit=limit,
        unit="messages/s",
        lost=runs - complete + leftovers(plant.broker) + _events_off(plant, since, runs),
        needed=CHAIN_BAR * limit,
    )


def await_all(plant: Plant, counted: str, since: datetime, runs: int) -> tuple[float, int]:
    """Seconds from the manager's first transaction to the last, and how many runs were seen.

    Counting takes time from what is measured, so more runs are counted less often.
    """
    period = 0.2 + runs / 50_000
    deadline = time.monotonic() + SECONDS + runs / 100
    values = {"since": since}
    with plant.connect() as connection:
        complete, last = _count(connection, counted, values)
        while complete < runs and time.monotonic() < deadline:
            time.sleep(period)
            complete, last = _count(connection, counted, values)
        row = connection.execute(_FIRST, values).fetchone()
    if row is None or row[0] is None or last is None:
        return float("inf"), complete
    return float((last - row[0]).total_seconds()), complete


def _count(
    connection: psycopg.Connection, counted: str, values: dict[str, datetime]
) -> tuple[int, datetime | None]:
    row = connection.execute(counted, values).fetchone()
    assert row is not None
    return int(row[0]), row[1]


def _instant_agent(plant: Plant) -> Process:
    endpoint = plant.plan.broker
    environment = {"BENCH_USER": endpoint.user, "BENCH_PASSWORD": endpoint.password}
    address = f"{endpoint.host}:{endpoint.port}"
    return Process(
        "instant_agent",
        [sys.executable, "-m", "benchmarks.instant_agent", address],
        {**inherited_environment(), **environment},
    )


def _events_off(plant: Plant, since: datetime, runs: int) -> int:
    """How far the number of events is from ten a run: none may be missing, none be there twice."""
    with plant.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM workflow_event WHERE received_at >= %s", [since]
        ).fetchone()
    assert row is not None
    return abs(int(row[0]) - MESSAGES_IN_ALL * runs)
