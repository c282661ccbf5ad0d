"""Messages become rows, jobs and an outbox, in one transaction, once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pytest

from workflow_manager.domain.steps import Phase
from workflow_manager.handlers import handle
from workflow_manager.models import Event, Instrument, Job, OutboxMessage, RejectedMessage, Run

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = PurePosixPath("/facility")
ARCS_1 = {
    "facility": "SNS",
    "instrument": "ARCS",
    "ipts": "ipts-27800",
    "run_number": "1",
    "data_file": "/SNS/ARCS/IPTS-27800/nexus/ARCS_1.nxs.h5",
    "src_id": "STC_20480",
}


@dataclass(frozen=True)
class Arrival:
    """A delivery as the broker would hand it over."""

    destination: str
    message_id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    is_stale: bool = False

    def ack(self) -> None: ...
    def nack(self) -> None: ...


def arrival(queue: str, message_id: str, **content: Any) -> Arrival:
    return Arrival(queue, message_id, json.dumps({**ARCS_1, **content}).encode())


def take_in(*arrivals: Arrival) -> None:
    handle(arrivals, ROOT)


def test_data_ready_makes_run_events_jobs_and_outbox() -> None:
    take_in(arrival("/queue/POSTPROCESS.DATA_READY", "m1"))
    run = Run.objects.get()
    assert (run.instrument.name, run.number, run.proposal.name) == ("arcs", 1, "IPTS-27800")
    assert run.instrument.facility == "SNS"
    assert run.data_ready_at is not None
    assert (run.cataloguing, run.reduction) == (Phase.REQUESTED, Phase.REQUESTED)
    assert list(run.events.order_by("id").values_list("queue", flat=True)) == [
        "POSTPROCESS.DATA_READY",
        "CATALOG.ONCAT.DATA_READY",
        "REDUCTION.DATA_READY",
    ]
    jobs = {job.queue: job for job in Job.objects.all()}
    for message in OutboxMessage.objects.all():
        body = json.loads(bytes(message.body))
        job = jobs[message.destination.removeprefix("/queue/")]
        assert (body["job_id"], body["attempt"]) == (job.id, 1)
        assert body["src_id"] == "STC_20480"


def test_both_spellings_and_a_repeated_delivery_are_one_event() -> None:
    take_in(arrival("/queue/POSTPROCESS.DATA_READY", "m1"))
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"), arrival("POSTPROCESS.DATA_READY", "m1"))
    assert Event.objects.count() == 3
    assert Job.objects.count() == 2


def test_reports_in_one_batch_with_many_runs() -> None:
    take_in(*(arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n) for n in range(50)))
    reports = [
        arrival(
            queue,
            f"{queue}{job.id}",
            run_number=job.run.number,
            job_id=job.id,
            attempt=1,
            information="node7",
        )
        for job in Job.objects.filter(step="reduction").select_related("run")
        for queue in ("REDUCTION.STARTED", "REDUCTION.COMPLETE")
    ]
    take_in(*reports)
    assert Run.objects.filter(reduction=Phase.DONE).count() == 50
    assert Job.objects.filter(step="reduction_cataloguing").count() == 50
    assert set(Job.objects.filter(step="reduction").values_list("agent", flat=True)) == {"node7"}


def test_a_report_sent_again_by_its_agent_is_the_same_event() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    job = Job.objects.get(step="reduction")
    for message_id in ("first", "again"):
        take_in(arrival("REDUCTION.COMPLETE", message_id, job_id=job.id, attempt=1))
    assert Event.objects.filter(queue="REDUCTION.COMPLETE").count() == 1
    assert Job.objects.filter(step="reduction_cataloguing").count() == 1


def test_a_job_number_of_another_run_is_not_believed() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    take_in(arrival("POSTPROCESS.DATA_READY", "m2", run_number=2))
    foreign = Job.objects.get(step="reduction", run__number=1)
    take_in(arrival("REDUCTION.COMPLETE", "m3", run_number=2, job_id=foreign.id, attempt=1))
    assert Run.objects.get(number=1).reduction == Phase.REQUESTED
    assert Run.objects.get(number=2).reduction == Phase.DONE


def test_a_run_is_acquiring_from_its_first_sms_message() -> None:
    sms = {"run_number": "7", "msg_type": "1", "reason": "SMS run started", "ipts": "IPTS-1"}
    body = json.dumps({**sms, "instrument": "BL18", "facility": "SNS"}).encode()
    take_in(Arrival("/topic/SNS.ARCS.APP.SMS", "s1", body))
    run = Run.objects.get()
    assert (run.instrument.name, run.data_ready_at, run.data_file) == ("arcs", None, "")
    assert run.events.get().information == "SMS run started"


def test_what_cannot_be_understood_is_kept_with_bytes_and_reason() -> None:
    bad = Arrival("POSTPROCESS.DATA_READY", "bad", b"\xff\x00{", {"a": "nul \0"})
    take_in(bad, arrival("POSTPROCESS.DATA_READY", "good"))
    rejected = RejectedMessage.objects.get()
    assert bytes(rejected.body) == bad.body
    assert "UTF-8" in rejected.reason
    assert Run.objects.count() == 1


def test_only_the_poison_in_a_batch_is_rejected() -> None:
    # The message id is what breaks here: PostgreSQL holds no NUL in a text.
    poison = arrival("POSTPROCESS.DATA_READY", "nul\0id", run_number=3)
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"), poison)
    assert list(Run.objects.values_list("number", flat=True)) == [1]
    assert "cannot be recorded" in RejectedMessage.objects.get().reason


def test_a_long_error_is_kept_whole() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    text = "x" * 100_000
    take_in(arrival("REDUCTION.ERROR", "m2", error=text))
    assert Job.objects.get(step="reduction").error == text
    assert Event.objects.get(queue="REDUCTION.ERROR").error == text


def test_no_instrument_comes_from_a_bad_name() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1", instrument="../../etc"))
    assert not Instrument.objects.exists()
    assert "not a name" in RejectedMessage.objects.get().reason
