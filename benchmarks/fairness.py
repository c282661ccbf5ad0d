"""P11: fresh runs of five instruments while one asks for ten thousand of its old runs again.

An agent with four slots takes jobs that last half a second and no processor. Measured for each
fresh run: from the manager's receiving DATA_READY until it records that the reduction started,
first with nothing else to do, then with the batch under way. The request itself is measured too.
"""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from benchmarks.plant import Plant, data_ready
from benchmarks.result import Result
from demo import facility
from demo.processes import inherited_environment
from demo.supervisor import Process
from workflow_manager.broker.stomp_broker import StompPublisher

BATCH = 10_000
_INSTRUMENTS = 5
_RUNS = 100  # fresh ones, in each part
_RATE = 2.0  # a second: half of what the slots can do
_SLOTS = 4
_JOB_SECONDS = 0.5
_SECONDS = 60.0
_FILL = """
INSERT INTO workflow_instrument (name, facility) VALUES ('busy', 'SNS');
INSERT INTO workflow_proposal (name) VALUES ('IPTS-1');
INSERT INTO workflow_run (instrument_id, number, proposal_id, data_file, data_ready_at,
                          cataloguing, reduction, reduction_cataloguing)
SELECT i.id, n, p.id, '/SNS/BUSY/IPTS-1/nexus/BUSY_' || n || '.nxs.h5', now(), 5, 5, 5
  FROM workflow_instrument i, workflow_proposal p, generate_series(1, {runs}) n
 WHERE i.name = 'busy' AND p.name = 'IPTS-1'
"""
_WAITS = """
SELECT extract(epoch FROM job.started_at - event.received_at)
FROM workflow_job AS job
JOIN workflow_run AS run ON run.id = job.run_id
JOIN workflow_event AS event
    ON event.run_id = run.id AND event.queue = 'POSTPROCESS.DATA_READY'
WHERE job.step = 'reduction' AND job.started_at IS NOT NULL
    AND run.number BETWEEN %s AND %s AND job.batch_id IS NULL
"""


def measure(plant: Plant, broker_name: str) -> list[Result]:
    """The 95th percentile of waiting with the batch beside that without, and the request."""
    with plant.connect() as connection:
        connection.execute(_FILL.format(runs=BATCH))
    with plant.running(plant.manager(), _agent(plant)):
        alone = _waits(plant, first=100_001)
        took = _request(plant)
        beside = _waits(plant, first=200_001)
    return [
        Result(
            bar="P11",
            what=f"fresh runs' p95 wait beside a batch of {BATCH:,} ({broker_name};"
            " limit: without the batch)",
            ours=1000 * _percentile(beside),
            limit=1000 * _percentile(alone),
            unit="ms",
            lost=2 * _RUNS - len(alone) - len(beside),
            needed=2000 * _percentile(alone),
            is_better="lower",
        ),
        Result(
            bar="P11",
            what=f"one request for {BATCH:,} runs (limit: the bar)",
            ours=took,
            limit=3.0,
            unit="s",
            lost=0,
            needed=3.0,
            is_better="lower",
        ),
    ]


def _percentile(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def _waits(plant: Plant, first: int) -> list[float]:
    """Seconds that each of the fresh runs waited."""
    numbers = range(first, first + _RUNS)
    with closing(StompPublisher(plant.broker)) as publisher:
        due = time.monotonic()
        for number in numbers:
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / _RATE
            name = f"FRESH{number % _INSTRUMENTS}"
            publisher.publish([data_ready(number, instrument=name)])
    deadline = time.monotonic() + _SECONDS
    with plant.connect() as connection:
        bounds = (numbers[0], numbers[-1])
        found = connection.execute(_WAITS, bounds).fetchall()
        while len(found) < _RUNS and time.monotonic() < deadline:
            time.sleep(0.2)
            found = connection.execute(_WAITS, bounds).fetchall()
    return [float(seconds) for (seconds,) in found]


def _request(plant: Plant) -> float:
    """Seconds of the request, as the command tells; starting an interpreter is not part of it."""
    wanted = ["request", "reduction", "--instrument", "busy", "--reason", "benchmark"]
    done = subprocess.run(
        [sys.executable, "manage.py", "batches", *wanted],
        env=dict(plant.manager().environment),
        cwd=facility.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"asked for in ([0-9.]+) s", done.stdout)
    if found is None:
        raise RuntimeError(f"the command said {done.stdout!r}")
    return float(found[1])


def _agent(plant: Plant) -> Process:
    endpoint = plant.plan.broker
    environment = {"BENCH_USER": endpoint.user, "BENCH_PASSWORD": endpoint.password}
    address = f"{endpoint.host}:{endpoint.port}"
    arguments = [address, str(_SLOTS), str(_JOB_SECONDS)]
    return Process(
        "paced_agent",
        [sys.executable, "-m", "benchmarks.paced_agent", *arguments],
        {**inherited_environment(), **environment},
    )
