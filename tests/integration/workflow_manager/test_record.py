"""Messages become rows, jobs and an outbox, in one transaction, once."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

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


def test_a_message_whose_number_was_used_before_is_not_taken_for_the_old_one() -> None:
    # A broker that lost its data counts from the beginning again.
    take_in(arrival("POSTPROCESS.DATA_READY", "7"))
    take_in(arrival("POSTPROCESS.DATA_READY", "7", run_number=2))
    assert set(Run.objects.values_list("number", flat=True)) == {1, 2}
    assert Job.objects.count() == 4


def test_two_bad_messages_with_one_number_are_both_kept() -> None:
    take_in(Arrival("Q", "7", b"one"), Arrival("Q", "7", b"two"), Arrival("Q", "7", b"two"))
    assert RejectedMessage.objects.count() == 2


def test_a_destination_longer_than_an_index_takes_stops_nobody() -> None:
    long_topic = f"/topic/SNS.{secrets.token_hex(4000)}.APP.SMS"
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"), Arrival(long_topic, "x" * 5000, b"{}"))
    assert Run.objects.count() == 1
    assert RejectedMessage.objects.get().destination == long_topic


@pytest.mark.parametrize(
    "decoration",
    [
        {"exit_code": 2**40},
        {"exit_code": True},
        {"started_at": "0001-01-01T00:00:00+00:00", "ended_at": "9999-12-31T00:00:00+00:00"},
        {"started_at": 5, "ended_at": None},
        {"timestamp": "1e300"},
    ],
)
def test_a_decoration_that_makes_no_sense_does_not_cost_the_report(
    decoration: dict[str, Any],
) -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    take_in(
        arrival("REDUCTION.COMPLETE", "m2", **decoration),
        arrival("CATALOG.ONCAT.COMPLETE", "m3", exit_code=0),
    )
    assert Run.objects.get().reduction == Phase.DONE
    assert not RejectedMessage.objects.exists()


def test_a_wish_is_forwarded_with_all_that_its_sender_said() -> None:
    said = {"agent": "my own", "exit_code": "none of yours", "information": "by me"}
    take_in(arrival("REDUCTION.REQUEST", "m1", **said))
    body = json.loads(bytes(OutboxMessage.objects.get().body))
    assert (body["agent"], body["exit_code"]) == ("my own", "none of yours")
    assert "information" not in body


def test_the_facility_is_learnt_from_the_topic_and_from_later_messages() -> None:
    sms = {"run_number": "7", "msg_type": "1", "reason": "SMS run started", "ipts": "IPTS-1"}
    take_in(Arrival("/topic/HFIR.CG2.APP.SMS", "s1", json.dumps(sms).encode()))
    assert Instrument.objects.get().facility == "HFIR"
    Instrument.objects.create(name="cg3")
    take_in(arrival("POSTPROCESS.DATA_READY", "m1", instrument="CG3", facility="HFIR"))
    assert Instrument.objects.get(name="cg3").facility == "HFIR"


def test_heavy_batches_are_taken_in_portions() -> None:
    heavy = [
        arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n, padding="x" * 900_000)
        for n in range(12)
    ]
    with CaptureQueriesContext(connection) as queries:
        take_in(*heavy)
    assert Run.objects.count() == 12
    assert sum("INSERT INTO workflow_run AS" in str(each["sql"]) for each in queries) == 2


def test_one_poison_costs_a_few_transactions_and_not_one_for_each_message() -> None:
    good = [arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n) for n in range(64)]
    poison = arrival("POSTPROCESS.DATA_READY", "nul\0id", run_number=100)
    with CaptureQueriesContext(connection) as queries:
        take_in(*good[:40], poison, *good[40:])
    assert Run.objects.count() == 64
    assert RejectedMessage.objects.count() == 1
    assert sum("INSERT INTO workflow_run AS" in str(each["sql"]) for each in queries) < 20


def test_an_announcement_that_its_sender_repeats_asks_for_nothing_more() -> None:
    """F16: another number, the same content; the sender's broker died before it confirmed."""
    for copy in range(10):
        take_in(arrival("POSTPROCESS.DATA_READY", f"copy {copy}"))
    assert Job.objects.count() == OutboxMessage.objects.count() == 2
    assert Event.objects.filter(queue="POSTPROCESS.DATA_READY").count() == 10


def test_announcements_in_one_batch_are_compared_too() -> None:
    take_in(*(arrival("POSTPROCESS.DATA_READY", f"copy {copy}") for copy in range(10)))
    assert Job.objects.count() == 2


def test_a_person_or_another_announcement_has_it_all_again() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    take_in(arrival("POSTPROCESS.DATA_READY", "m2", information="Requested by abc"))
    take_in(arrival("POSTPROCESS.DATA_READY", "m3", host="arcs-daq2"))
    assert Job.objects.count() == 6


def test_an_undated_announcement_is_believed_again_when_the_run_has_ended_long_ago() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    for number, queue in enumerate(("CATALOG.ONCAT", "REDUCTION", "REDUCTION_CATALOG")):
        take_in(arrival(f"{queue}.COMPLETE", f"end {number}"))
    Event.objects.update(received_at=Now() - timedelta(hours=1))
    take_in(arrival("POSTPROCESS.DATA_READY", "m2"))
    assert Job.objects.filter(attempt=2).count() == 2


def test_a_dated_announcement_is_the_same_for_ever() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1", timestamp="1771500000"))
    for number, queue in enumerate(("CATALOG.ONCAT", "REDUCTION", "REDUCTION_CATALOG")):
        take_in(arrival(f"{queue}.COMPLETE", f"end {number}"))
    Event.objects.update(received_at=Now() - timedelta(hours=1))
    take_in(arrival("POSTPROCESS.DATA_READY", "m2", timestamp="1771500000"))
    assert not Job.objects.filter(attempt=2).exists()


def test_a_report_without_a_number_that_comes_twice_moves_the_run_on_once() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    take_in(arrival("REDUCTION.COMPLETE", "m2"))
    take_in(arrival("REDUCTION.COMPLETE", "m3"))
    assert Job.objects.filter(step="reduction_cataloguing").count() == 1


def test_remarks_about_one_job_are_all_kept() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    job = Job.objects.get(step="reduction")
    named = {"job_id": job.id, "attempt": 1}
    take_in(arrival("POSTPROCESS.INFO", "m2", information="half of it", **named))
    take_in(arrival("POSTPROCESS.INFO", "m3", information="nearly all", **named))
    told = Event.objects.filter(queue="POSTPROCESS.INFO").order_by("id")
    assert list(told.values_list("information", flat=True)) == ["half of it", "nearly all"]
