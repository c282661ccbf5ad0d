"""A job that the broker gave up on is kept for people, and its run does not wait for ever."""

import json
from collections.abc import Mapping

import pytest

from tests.integration.workflow_manager.test_record import ARCS_1, Arrival, arrival, take_in
from workflow_manager import dead_letters
from workflow_manager.domain.steps import Phase
from workflow_manager.models import Event, Job, OutboxMessage, RejectedMessage, Run

pytestmark = pytest.mark.django_db(transaction=True)

DATA_READY = "POSTPROCESS.DATA_READY"
JOBS = "/queue/REDUCTION.DATA_READY"


def dead(
    body: bytes, origin: str = JOBS, lies_in: str = "/queue/DLQ", number: str = "d1"
) -> Arrival:
    headers: Mapping[str, str] = {"original-destination": origin} if origin else {}
    return Arrival(lies_in, number, body, headers)


def sent(step: str = "reduction") -> bytes:
    """What lies with the broker for this step of run 1."""
    return bytes(OutboxMessage.objects.get(job__step=step).body)


@pytest.fixture
def reduction() -> Job:
    take_in(arrival(DATA_READY, "m1"))
    return Job.objects.get(step="reduction")


@pytest.mark.parametrize("lies_in", ["/queue/DLQ", "DLQ", "ExpiryQueue", "/queue/ActiveMQ.DLQ"])
def test_the_job_failed_and_the_run_shows_why(reduction: Job, lies_in: str) -> None:
    take_in(dead(sent(), lies_in=lies_in))
    reduction.refresh_from_db()
    assert reduction.phase == Phase.FAILED
    assert reduction.error.startswith("The broker gave up: a reader of REDUCTION.DATA_READY")
    run = Run.objects.get()
    assert (run.reduction, run.cataloguing) == (Phase.FAILED, Phase.REQUESTED)
    event = Event.objects.get(queue="POSTPROCESS.ERROR")
    assert (event.job_id, event.error) == (reduction.id, reduction.error)
    row = RejectedMessage.objects.get()
    assert (row.destination, row.reason) == (JOBS, reduction.error)


def test_a_dead_letter_that_comes_twice_is_one(reduction: Job) -> None:
    take_in(dead(sent()), dead(sent()))
    take_in(dead(sent()))
    assert RejectedMessage.objects.count() == 1
    assert Event.objects.filter(queue="POSTPROCESS.ERROR").count() == 1


def test_a_job_that_ended_meanwhile_is_left_alone(reduction: Job) -> None:
    letter = dead(sent())
    take_in(arrival("REDUCTION.COMPLETE", "m2", job_id=reduction.id, attempt=1))
    take_in(letter)
    reduction.refresh_from_db()
    assert (reduction.phase, reduction.error) == (Phase.DONE, "")
    assert RejectedMessage.objects.count() == 1


@pytest.mark.parametrize(
    "change", [{"job_id": 10**9}, {"attempt": 7}, {"run_number": 2}, {"instrument": "cncs"}]
)
def test_a_message_that_only_says_it_is_a_job_fails_nothing(
    reduction: Job, change: Mapping[str, object]
) -> None:
    take_in(dead(json.dumps({**json.loads(sent()), **change}).encode()))
    assert Event.objects.filter(queue="POSTPROCESS.ERROR").count() == 0
    assert Run.objects.get().reduction == Phase.REQUESTED
    assert RejectedMessage.objects.count() == 1


def test_a_job_of_another_queue_fails_nothing(reduction: Job) -> None:
    take_in(dead(sent(), origin="/queue/CATALOG.ONCAT.DATA_READY"))
    assert Run.objects.get().reduction == Phase.REQUESTED


@pytest.mark.parametrize("body", [b"\xff\0", b"[]", b"", b"{}", b"[" * 10_000])
def test_anything_else_is_kept_and_holds_nobody_up(body: bytes) -> None:
    take_in(dead(body, origin="/queue/SITE.THING"), arrival(DATA_READY, "m1"))
    row = RejectedMessage.objects.get()
    assert (bytes(row.body), row.destination) == (body, "/queue/SITE.THING")
    assert Run.objects.count() == 1


def test_a_job_sent_again_by_a_person_goes_its_way(reduction: Job) -> None:
    body = sent()
    take_in(dead(body))
    OutboxMessage.objects.all().delete()
    dead_letters.replay(RejectedMessage.objects.get(), "ann")
    message = OutboxMessage.objects.get()
    assert (message.destination, bytes(message.body)) == (JOBS, body)
    for report in ("REDUCTION.STARTED", "REDUCTION.COMPLETE"):
        take_in(arrival(report, report, job_id=reduction.id, attempt=1))
    reduction.refresh_from_db()
    assert (reduction.phase, reduction.error) == (Phase.DONE, "")


def test_a_message_of_ours_among_dead_letters_is_replayed_as_its_first_delivery() -> None:
    letter = dead(json.dumps(ARCS_1).encode(), origin=DATA_READY, number="m1")
    take_in(letter)
    assert Run.objects.count() == 0
    dead_letters.replay(RejectedMessage.objects.get(), "ann")
    take_in(arrival(DATA_READY, "m1"))
    assert Event.objects.filter(queue=DATA_READY).count() == 1
