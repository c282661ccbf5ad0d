"""What the health page asks: managers, agents, queues, the outbox; one query each."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager import health
from workflow_manager.domain.liveness import Liveness
from workflow_manager.models import Agent, Job, ManagerProcess, OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)


def ago(**content: float) -> datetime:
    return timezone.now() - timedelta(**content)


def test_processes_are_ok_late_or_silent_by_the_age_of_their_last_sign() -> None:
    for name, age in (("a:1", 5), ("b:2", 20), ("c:3", 4000)):
        ManagerProcess.objects.create(name=name, seen_at=ago(seconds=age))
    for name, age, slots in (
        *(("new", 20, 4), ("new-late", 30, 4), ("old", 60, None)),
        *(("old-late", 70, None), ("silent", 4000, 4), ("forgotten", 31 * 86400, 4)),
    ):
        Agent.objects.create(name=name, slots=slots, seen_at=ago(seconds=age))
    assert [each.liveness for each in health.managers()] == [
        *(Liveness.OK, Liveness.LATE, Liveness.SILENT)
    ]
    assert {each.name: each.liveness.value for each in health.agents()} == {
        **{"new": "ok", "new-late": "late", "old": "ok", "old-late": "late", "silent": "silent"}
    }


def test_jobs_are_counted_by_queue_and_agent() -> None:
    Agent.objects.create(name="node7", slots=2)
    take_in(*(arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n) for n in (1, 2, 3)))
    job = Job.objects.get(step="reduction", run__number=1)
    take_in(
        arrival("REDUCTION.STARTED", "s", job_id=job.id, attempt=1, information="node7"),
    )
    Job.objects.filter(step="reduction", run__number=2).update(is_held=True, lease_until=None)
    by_queue = {each.queue: each for each in health.queues()}
    reduction = by_queue["REDUCTION.DATA_READY"]
    assert (reduction.held, reduction.waiting, reduction.running) == (1, 1, 1)
    assert reduction.oldest_waiting_at is not None
    assert by_queue["CATALOG.ONCAT.DATA_READY"].waiting == 3
    (agent,) = health.agents()
    assert (agent.running, agent.slots) == (1, 2)


def test_the_outbox_is_as_deep_as_what_was_not_sent() -> None:
    assert health.outbox() == health.OutboxHealth(0, None)
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    outbox = health.outbox()
    assert outbox.depth == 2
    assert outbox.oldest_at == OutboxMessage.objects.earliest("id").created_at


def test_each_answer_is_one_query() -> None:
    for ask in (health.managers, health.agents, health.queues, health.outbox):
        with CaptureQueriesContext(connection) as queries:
            ask()
        assert len(queries) == 1
