"""When silence about a job is too long. The clock is the test's."""

from datetime import UTC, datetime, timedelta

import pytest

from workflow_manager.domain import leases, recovery
from workflow_manager.domain.recovery import Loss, Patience, QueueNow, Typical, Waiting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
UNKNOWN = Typical()


def ago(length: timedelta) -> datetime:
    return NOW - length


@pytest.mark.parametrize(
    ("typical", "recoveries", "expected"),
    [
        (None, 0, leases.RUN),
        (MINUTE, 0, leases.RUN),
        (HOUR, 0, 3 * HOUR),
        (HOUR, 2, 12 * HOUR),
        (None, 3, 8 * leases.RUN),
    ],
)
def test_the_limit_is_three_times_the_usual_with_a_floor_and_backoff(
    typical: timedelta | None, recoveries: int, expected: timedelta
) -> None:
    assert recovery.limit(typical, leases.RUN, recoveries) == expected


def test_a_job_that_runs_is_given_the_time_of_its_instrument() -> None:
    long = Typical(running=HOUR)
    assert recovery.judge_running("n", ago(2 * HOUR), long, 0, NOW) == Patience(NOW + HOUR)
    assert isinstance(recovery.judge_running("n", ago(3 * HOUR), long, 0, NOW), Loss)
    assert isinstance(recovery.judge_running("n", ago(3 * HOUR), long, 1, NOW), Patience)


def test_the_sentence_says_how_long_and_where() -> None:
    loss = recovery.judge_running("node7", ago(76 * MINUTE), UNKNOWN, 0, NOW)
    assert loss == Loss(
        "No end was reported in 1 h 16 min since it started at node7 (the limit is 1 h 15 min)"
    )


def test_an_agent_has_time_to_end_a_long_job_itself() -> None:
    short = Typical(running=MINUTE)
    assert isinstance(recovery.judge_running("n", ago(70 * MINUTE), short, 0, NOW), Patience)


BUSY = QueueNow(has_agent=True, last_start_at=ago(2 * HOUR))
FREE = QueueNow(has_agent=True, has_free_agent=True, last_start_at=ago(2 * HOUR))


def judged(
    queue: QueueNow, *, sent: timedelta | None, overtaken: timedelta | None = None, times: int = 0
) -> Patience | Loss:
    job = Waiting(ago(sent) if sent else None, ago(overtaken) if overtaken else None, times)
    return recovery.judge_waiting(job, UNKNOWN, queue, NOW)


@pytest.mark.parametrize(
    ("queue", "sent"),
    [
        (FREE, None),  # still in the outbox
        (QueueNow(), 48 * HOUR),  # all agents are off for the weekend
        (BUSY, 48 * HOUR),  # a long queue
        (FREE, 9 * MINUTE),
    ],
)
def test_waiting_alone_is_never_too_long(queue: QueueNow, sent: timedelta | None) -> None:
    assert isinstance(judged(queue, sent=sent), Patience)


def test_what_others_overtook_is_lost_after_the_limit() -> None:
    assert judged(BUSY, sent=HOUR, overtaken=4 * MINUTE) == Patience(NOW + 6 * MINUTE)
    assert isinstance(judged(BUSY, sent=HOUR, overtaken=10 * MINUTE), Loss)
    assert isinstance(judged(BUSY, sent=HOUR, overtaken=10 * MINUTE, times=1), Patience)


def test_nothing_is_lost_while_nobody_lives_even_if_it_was_overtaken() -> None:
    assert isinstance(judged(QueueNow(), sent=HOUR, overtaken=HOUR), Patience)


def test_an_older_agent_may_hold_what_it_took_before_others_overtook_it() -> None:
    since = QueueNow(has_agent=True, old_busy_since=ago(2 * HOUR))
    assert isinstance(judged(since, sent=3 * HOUR, overtaken=HOUR), Patience)
    later = QueueNow(has_agent=True, old_busy_since=ago(30 * MINUTE))
    assert isinstance(judged(later, sent=3 * HOUR, overtaken=HOUR), Loss)


def test_what_a_free_agent_does_not_take_is_lost() -> None:
    assert isinstance(judged(FREE, sent=10 * MINUTE), Loss)
    moving = QueueNow(has_agent=True, has_free_agent=True, last_start_at=ago(MINUTE))
    assert isinstance(judged(moving, sent=2 * HOUR), Patience)


@pytest.mark.parametrize(
    ("attempt", "recoveries", "is_newer", "expected"),
    [
        (2, 0, False, "Why; the job was sent again as attempt 2."),
        (3, 1, True, "Why; attempt 3 had been asked for meanwhile."),
        (None, 3, False, "Given up after 3 times of sending it again: Why."),
        (None, 0, False, "Why; it was not sent again, because that is switched off."),
    ],
)
def test_an_attempt_says_what_became_of_it(
    attempt: int | None, recoveries: int, is_newer: bool, expected: str
) -> None:
    assert recovery.error("Why", attempt, recoveries, is_newer=is_newer) == expected


def test_the_history_has_the_words_of_the_contract() -> None:
    remarks = [
        recovery.remark(step, "arcs", 214583, "Why.")
        for step in ("cataloguing", "reduction", "reduction_cataloguing")
    ]
    assert remarks == [
        "Cataloging incomplete for arcs_214583: Why.",
        "Reduction incomplete for arcs_214583: Why.",
        "Reduction cataloging incomplete for arcs_214583: Why.",
    ]


def test_times_that_cannot_be_do_not_end_the_process() -> None:
    """Two thousand years, six times: no date is so far away."""
    typical = Typical(running=timedelta(days=739_000))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    verdict = recovery.judge_running("node7", now - timedelta(hours=3), typical, 1, now)
    assert isinstance(verdict, Patience)
    assert verdict.until < now + timedelta(days=31)
