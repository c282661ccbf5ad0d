"""What people do with rejected messages has its effect once, and no row goes away."""

import json
from collections.abc import Callable

import pytest

from tests.integration.workflow_manager.test_record import ARCS_1, arrival, take_in
from workflow_manager import dead_letters, selectors
from workflow_manager.models import Event, Job, OutboxMessage, RejectedMessage, Run

pytestmark = pytest.mark.django_db(transaction=True)

DATA_READY = "POSTPROCESS.DATA_READY"
Outcome = RejectedMessage.Outcome


def rejected(
    destination: str = DATA_READY, number: str = "m1", **content: object
) -> RejectedMessage:
    """A message about run 1 with something wrong."""
    take_in(arrival(destination, number, **content))
    return RejectedMessage.objects.latest("id")


def kept(destination: str, body: bytes, message_id: str = "k1") -> RejectedMessage:
    """A row as it stands when the reason is gone that it was rejected for."""
    return RejectedMessage.objects.create(
        identity=f"{destination} {message_id}",
        destination=destination,
        message_id=message_id,
        body=body,
        reason="Something that is repaired.",
    )


GOOD = json.dumps(ARCS_1).encode()


def test_a_replay_records_the_kept_bytes_and_says_who_did_it() -> None:
    row = kept(DATA_READY, GOOD)
    result = dead_letters.replay(row, "ann")
    assert (result.is_new, result.sentence) == (True, f"ARCS 1: {DATA_READY} is recorded.")
    row.refresh_from_db()
    assert (row.outcome, row.outcome_by, bytes(row.body)) == (Outcome.REPLAYED, "ann", GOOD)
    assert row.outcome_at is not None
    assert Job.objects.count() == OutboxMessage.objects.count() == 2


def test_a_second_replay_is_refused_and_one_that_insists_changes_nothing() -> None:
    row = kept(DATA_READY, GOOD)
    dead_letters.replay(row, "ann")
    with pytest.raises(dead_letters.AlreadySettledError, match="was replayed by ann"):
        dead_letters.replay(row, "bob")
    assert not dead_letters.replay(row, "bob", again=True).is_new
    assert Event.objects.count() == 3
    assert OutboxMessage.objects.count() == 2


def test_what_was_recorded_meanwhile_stays_as_it_is() -> None:
    row = kept(DATA_READY, GOOD, "m7")
    take_in(arrival(DATA_READY, "m7"))
    assert not dead_letters.replay(row, "ann").is_new
    assert Event.objects.count() == 3
    assert not selectors.rejected_messages(limit=9)


def test_what_still_cannot_be_read_stays_open_and_tells_why() -> None:
    row = rejected(run_number="x")
    with pytest.raises(dead_letters.NotReplayedError, match='run_number is "x"'):
        dead_letters.replay(row, "ann")
    row.refresh_from_db()
    assert (row.outcome, row.outcome_at, row.outcome_by) == (Outcome.OPEN, None, "")
    assert Run.objects.count() == 0


def test_a_corrected_body_is_recorded_once_and_the_row_keeps_its_bytes() -> None:
    row = rejected(run_number="x")
    bad = bytes(row.body)
    assert dead_letters.replay(row, "ann", body=GOOD).is_new
    assert not dead_letters.replay(row, "ann", body=GOOD, again=True).is_new
    row.refresh_from_db()
    assert bytes(row.body) == bad
    assert Event.objects.filter(queue=DATA_READY).count() == 1


def test_a_correction_of_another_message_with_the_same_body_is_another_event() -> None:
    first, second = rejected(run_number="x"), rejected(run_number="y", number="m2")
    for row in (first, second):
        assert dead_letters.replay(row, "ann", body=GOOD).is_new
    assert Event.objects.filter(queue=DATA_READY).count() == 2


@pytest.mark.parametrize(
    ("destination", "sent_to"),
    [
        ("REDUCTION.DATA_READY", "/queue/REDUCTION.DATA_READY"),
        ("/queue/SITE.THING", "/queue/SITE.THING"),
        ("/topic/SNS.ARCS.STATUS.POSTPROCESS", "/topic/SNS.ARCS.STATUS.POSTPROCESS"),
    ],
)
def test_a_message_for_others_is_sent_to_them_once(destination: str, sent_to: str) -> None:
    row = kept(destination, b"anything \xff")
    assert sent_to in dead_letters.replay(row, "ann").sentence
    with pytest.raises(dead_letters.AlreadySettledError):
        dead_letters.replay(row, "bob")
    message = OutboxMessage.objects.get()
    assert (message.destination, bytes(message.body)) == (sent_to, b"anything \xff")
    dead_letters.replay(row, "bob", again=True)
    assert OutboxMessage.objects.count() == 2


def test_a_message_of_unknown_origin_cannot_be_sent() -> None:
    with pytest.raises(dead_letters.NotReplayedError, match="did not tell"):
        dead_letters.replay(kept("DLQ", GOOD), "ann")
    assert OutboxMessage.objects.count() == 0


def test_all_that_are_bad_in_the_same_way_are_replayed_and_the_others_left() -> None:
    rows = [
        kept(spelling + DATA_READY, GOOD, f"k{n}") for n, spelling in enumerate(["", "/queue/"])
    ]
    still_bad = kept(DATA_READY, b"[]", "k3")
    other = rejected(run_number="x")
    result = dead_letters.replay_like(rows[0], "ann")
    assert (result.replayed, result.still_open) == (2, 1)
    assert result.reasons == ("The JSON is a list, not an object with keys.",)
    assert {row.id for row in selectors.rejected_messages(limit=9)} == {still_bad.id, other.id}


def test_reasons_are_alike_when_only_values_differ() -> None:
    first, second = "run_number is 'a 1', not a number.", "run_number is '\\'7', not a number."
    assert dead_letters.kind_of(first) == dead_letters.kind_of(second)
    assert dead_letters.kind_of(first) != dead_letters.kind_of("ipts is 'a 1', not a number.")


def test_discarding_needs_a_reason_and_keeps_the_row() -> None:
    row = rejected(run_number="x")
    with pytest.raises(dead_letters.DeadLetterError, match="A reason is needed"):
        dead_letters.discard(row, "ann", " ")
    dead_letters.discard(row, "ann", "A test of the DAQ group.")
    row.refresh_from_db()
    assert (row.outcome, row.outcome_reason) == (Outcome.DISCARDED, "A test of the DAQ group.")
    with pytest.raises(dead_letters.AlreadySettledError, match="was discarded by ann"):
        dead_letters.replay(row, "bob")


@pytest.mark.parametrize("deed", [dead_letters.replay_like, dead_letters.replay])
def test_health_counts_what_is_open(deed: Callable[[RejectedMessage, str], object]) -> None:
    row = kept(DATA_READY, GOOD)
    assert selectors.health().rejected == 1
    deed(row, "ann")
    assert selectors.health().rejected == 0
    assert selectors.rejected_messages(limit=9) == []
    assert [each.id for each in selectors.rejected_messages(limit=9, outcome=None)] == [row.id]
    assert len(selectors.rejected_messages(limit=9, outcome=Outcome.REPLAYED)) == 1
