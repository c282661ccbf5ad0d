"""Many runs with one story, each told in its own order: in PostgreSQL they all end the same.

`WEBMON_ORDERS` raises the number of orders.
"""

import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.integration.workflow_manager.test_record import Arrival
from workflow_manager.domain.steps import Step
from workflow_manager.handlers import handle
from workflow_manager.models import Event, Job, OutboxMessage, RejectedMessage, Run

ORDERS = int(os.environ.get("WEBMON_ORDERS", "60"))
SEED = 20261121
ROOT = PurePosixPath("/facility")
REPORTS = {
    Step.CATALOGUING: ("CATALOG.ONCAT.STARTED", "CATALOG.ONCAT.COMPLETE"),
    Step.REDUCTION: ("REDUCTION.STARTED", "REDUCTION.COMPLETE"),
    Step.REDUCTION_CATALOGUING: ("REDUCTION_CATALOG.STARTED", "CATALOG.ERROR"),
}

pytestmark = pytest.mark.django_db(transaction=True)


def content(number: int, **more: Any) -> bytes:
    path = f"/SNS/ARCS/IPTS-1/nexus/ARCS_{number}.nxs.h5"
    run = {"facility": "SNS", "instrument": "ARCS", "ipts": "IPTS-1", "run_number": number}
    return json.dumps({**run, "data_file": path, **more}).encode()


def beginnings(source: random.Random, number: int) -> list[Arrival]:
    """What comes before there are jobs: notes and the announcement, each some times."""
    note = {"msg_type": "1", "reason": "SMS run started"}
    return repeated(
        source,
        [
            Arrival("/topic/SNS.ARCS.APP.SMS", f"sms {number}", content(number, **note)),
            Arrival("POSTPROCESS.DATA_READY", f"ready {number}", content(number)),
            Arrival("TRANSLATION.COMPLETE", f"translated {number}", content(number)),
        ],
    )


def reports(source: random.Random, job: Job, number: int) -> list[Arrival]:
    """What an agent says about a job; it may say it again, and the broker may deliver it again."""
    said: dict[str, Any] = {"job_id": job.id, "attempt": job.attempt, "information": "node7"}
    told = [
        Arrival(queue, f"{queue} {job.id} {sending}", content(number, **said, **_error_on(queue)))
        for queue in REPORTS[Step(job.step)]
        for sending in range(source.randint(1, 3))
    ]
    return repeated(source, told)


def _error_on(queue: str) -> dict[str, Any]:
    return {"error": "it broke", "exit_code": 3} if queue.endswith("ERROR") else {"exit_code": 0}


def repeated(source: random.Random, arrivals: list[Arrival]) -> list[Arrival]:
    return [arrival for arrival in arrivals for _ in range(source.randint(1, 3))]


def take_in(source: random.Random, arrivals: list[Arrival]) -> None:
    """Shuffle, and hand over in batches of any size."""
    source.shuffle(arrivals)
    while arrivals:
        size = source.randint(1, 200)
        batch, arrivals = arrivals[:size], arrivals[size:]
        handle(batch, ROOT)


def states() -> Iterator[tuple[Any, ...]]:
    """Each run's steps and history, less hours and numbers."""
    history: Mapping[int, list[tuple[str, ...]]] = defaultdict(list)
    for run_id, *said in Event.objects.values_list("run_id", "queue", "information", "error"):
        history[run_id].append(tuple(said))
    jobs: Mapping[int, list[tuple[Any, ...]]] = defaultdict(list)
    columns = ("step", "attempt", "queue", "phase", "agent", "error", "exit_code", "requested_by")
    for run_id, *told in Job.objects.values_list("run_id", *columns):
        jobs[run_id].append(tuple(told))
    for run in Run.objects.all():
        phases = tuple(run.phase(step) for step in Step)
        yield (phases, tuple(sorted(jobs[run.id])), tuple(sorted(history[run.id])))


def test_all_orders_and_repetitions_of_a_runs_messages_end_the_same() -> None:
    source = random.Random(SEED)  # noqa: S311 - not a secret
    numbers = range(1, ORDERS + 1)
    take_in(source, [each for number in numbers for each in beginnings(source, number)])
    for steps in ((Step.CATALOGUING, Step.REDUCTION), (Step.REDUCTION_CATALOGUING,)):
        jobs = Job.objects.filter(step__in=steps).select_related("run")
        take_in(source, [each for job in jobs for each in reports(source, job, job.run.number)])
    ends = set(states())
    assert len(ends) == 1, f"seed {SEED}"
    (_, jobs_of_a_run, history) = ends.pop()
    # Three messages before the jobs, and for each job its message and two reports.
    assert (len(jobs_of_a_run), len(history)) == (3, 3 + 3 * 3)
    assert Run.objects.count() == ORDERS
    assert OutboxMessage.objects.count() == 3 * ORDERS
    assert not RejectedMessage.objects.exists()
