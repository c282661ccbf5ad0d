"""The outbox is sent in order, once the broker confirms; a refusal costs one message at most."""

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import pytest
from django.db import connection

from tests.integration.workflow_manager.test_record import arrival
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import (
    BrokerUnavailableError,
    LoginRefusedError,
    MessageRefusedError,
    OutgoingMessage,
)
from workflow_manager.domain.steps import Phase
from workflow_manager.handlers import handle
from workflow_manager.models import Event, Job, OutboxMessage, Run
from workflow_manager.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = PurePosixPath("/")


class Unwilling:
    """A publisher that answers with an error; `refuses` is the destination it says no to."""

    def __init__(self, error: Exception, refuses: str = "") -> None:
        self.error = error
        self.refuses = refuses
        self.sent: list[str] = []

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if any(self.refuses in message.destination for message in messages):
            raise self.error
        self.sent += [message.destination for message in messages]

    def close(self) -> None: ...


def data_ready(count: int = 1) -> None:
    handle([arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n) for n in range(count)], ROOT)


def test_jobs_leave_in_order_and_know_when() -> None:
    data_ready(3)
    broker = MemoryBroker()
    assert Relay(broker.publisher()).drain() == 6
    assert not OutboxMessage.objects.exists()
    assert not Job.objects.filter(sent_at=None).exists()
    assert broker.depth("REDUCTION.DATA_READY") == 3


@pytest.mark.parametrize("error", [BrokerUnavailableError("gone"), LoginRefusedError("who?")])
def test_nothing_is_given_up_while_the_broker_does_not_let_us_in(error: Exception) -> None:
    data_ready()
    with pytest.raises(type(error)):
        Relay(Unwilling(error)).drain()
    assert OutboxMessage.objects.count() == 2
    assert set(Job.objects.values_list("phase", flat=True)) == {Phase.REQUESTED}


def test_a_refused_message_fails_its_own_job_only() -> None:
    data_ready()
    publisher = Unwilling(MessageRefusedError("no right to CATALOG"), refuses="CATALOG")
    Relay(publisher).drain()
    assert publisher.sent == ["/queue/REDUCTION.DATA_READY"]
    refused = Job.objects.get(step="cataloguing")
    assert refused.phase == Phase.FAILED
    assert "no right to CATALOG" in refused.error
    assert not OutboxMessage.objects.exists()


def test_a_heavy_outbox_is_sent_in_portions() -> None:
    padding = "x" * 900_000
    handle(
        [
            arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n, padding=padding)
            for n in range(9)
        ],
        ROOT,
    )
    largest: list[int] = []

    class Weighing:
        def publish(self, messages: Sequence[OutgoingMessage]) -> None:
            largest.append(sum(len(message.body) for message in messages))

        def close(self) -> None: ...

    assert Relay(Weighing()).drain() == 18
    assert len(largest) > 1
    assert max(largest) < 10 * 1024 * 1024


@pytest.fixture
def reports() -> Iterator[list[dict[str, object]]]:
    data_ready(100)
    jobs = Job.objects.select_related("run").order_by("-id")
    yield [
        {"run_number": job.run.number, "job_id": job.id, "attempt": 1, "step": job.step}
        for job in jobs
    ]


def test_relay_and_reports_do_not_wait_for_each_other_in_a_circle(
    reports: list[dict[str, object]],
) -> None:
    """Fast agents report while the relay has not committed; both change the same jobs."""
    sent: list[int] = []
    ready = threading.Barrier(2)

    class Slow:
        def publish(self, messages: Sequence[OutgoingMessage]) -> None:
            sent.extend(json.loads(message.body)["job_id"] for message in messages)
            ready.wait(timeout=20)

        def close(self) -> None: ...

    def relay() -> None:
        Relay(Slow())._send_batch()
        connection.close()

    thread = threading.Thread(target=relay)
    thread.start()
    started = [
        arrival(
            "REDUCTION.STARTED" if each["step"] == "reduction" else "CATALOG.ONCAT.STARTED",
            f"s{each['job_id']}",
            **{key: each[key] for key in ("run_number", "job_id", "attempt")},
        )
        for each in reports
    ]
    ready.wait(timeout=20)
    handle(started, ROOT)
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert Event.objects.filter(queue__endswith="STARTED").count() == 200
    assert len(sent) == len(set(sent)) == 200
    assert not Job.objects.filter(sent_at=None).exists()


def test_a_refused_message_fails_the_step_of_its_run_and_tells_the_pages() -> None:
    data_ready()
    publisher = Unwilling(MessageRefusedError("no right to CATALOG"), refuses="CATALOG")
    Relay(publisher).drain()
    run = Run.objects.get()
    assert (run.cataloguing, run.reduction) == (Phase.FAILED, Phase.REQUESTED)


def test_a_refusal_does_not_undo_what_is_done() -> None:
    """The first copy arrived and was reported of; the second one is refused."""
    data_ready()
    job = Job.objects.get(step="cataloguing")
    end = {"run_number": 0, "job_id": job.id, "attempt": 1}
    handle([arrival("CATALOG.ONCAT.COMPLETE", "end", **end)], ROOT)
    Relay(Unwilling(MessageRefusedError("full"), refuses="CATALOG")).drain()
    job.refresh_from_db()
    assert (job.phase, Run.objects.get().cataloguing) == (Phase.DONE, Phase.DONE)
    assert not OutboxMessage.objects.exists()
