"""The reports of a run's jobs, in any order and any number, end in one state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus import frames  # noqa: F401 - its profiles
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES, rule_for
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import JobRecord, RunLedger
from workflow_manager.protocol.messages import JobReference, RunMessage

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

# Where the runs of an instrument go after their data are announced; None: where all runs go.
ROUTES: tuple[tuple[str, ...] | None, ...] = (
    None,
    (),
    (names.CATALOG_JOBS, names.HIGH_MEMORY_REDUCTION_JOBS),
    (names.REDUCTION_JOBS, "CALVERA.RAW.DATA_READY", "INTERSECT.RAW.DATA_READY"),
)
FACTS = (names.SMS, names.POSTPROCESS_INFO, names.TRANSLATION_COMPLETE)


@dataclass(frozen=True)
class Story:
    """What is said about a run: its jobs are there, and these are all the reports about them."""

    route: tuple[str, ...] | None
    is_asked_again: bool
    reports: tuple[RunMessage, ...]

    def ledger(self) -> RunLedger:
        """The run when its agents begin."""
        return _run_with_jobs(self.route, is_asked_again=self.is_asked_again)


def _message(queue: str, job: JobRecord | None = None, **body: Any) -> RunMessage:
    return RunMessage(
        queue=queue,
        instrument="arcs",
        run_number=1,
        proposal="IPTS-1",
        facility="SNS",
        data_file="/SNS/ARCS/IPTS-1/nexus/ARCS_1.nxs.h5",
        information=body.get("information"),
        error=body.get("error"),
        job=JobReference(job.job_id, job.attempt) if job and job.job_id else None,
        body={"src_id": "STC_1", **body},
    )


def _run_with_jobs(route: Sequence[str] | None, *, is_asked_again: bool) -> RunLedger:
    ledger = RunLedger()
    if route is not None:
        ledger.routes = {names.POSTPROCESS_DATA_READY: list(route)}
    ledger.receive(_message(names.POSTPROCESS_DATA_READY), NOON)
    if is_asked_again:
        ledger.receive(_message(names.REDUCTION_REQUEST), NOON)
    for number, job in enumerate(ledger.jobs, start=1):
        job.job_id = number
    return ledger


def _reports_about(job: JobRecord) -> list[str]:
    """The queues on which an agent may report about such a job."""
    own = [queue for queue in INPUT_QUEUES if rule_for(queue).step == job.step]
    return [*own, names.POSTPROCESS_ERROR]


@st.composite
def stories(draw: st.DrawFn, *, finals_of_a_job: int) -> Story:
    route = draw(st.sampled_from(ROUTES))
    is_asked_again = draw(st.booleans())
    reports = [_message(queue, information="a fact") for queue in FACTS]
    for job in _run_with_jobs(route, is_asked_again=is_asked_again).jobs:
        queues = draw(
            st.lists(
                st.sampled_from(_reports_about(job)), max_size=1 + finals_of_a_job, unique=True
            )
        )
        reports += _told(job, queues, finals_of_a_job)
    return Story(route, is_asked_again, tuple(reports))


def _told(job: JobRecord, queues: Iterable[str], most_finals: int) -> list[RunMessage]:
    finals = [queue for queue in queues if rule_for(queue).phase != Phase.STARTED]
    started = [queue for queue in queues if queue not in finals]
    return [
        _message(queue, job, information="node7", error=_error_on(queue), exit_code=1)
        for queue in [*started, *finals[:most_finals]]
    ]


def _error_on(queue: str) -> str | None:
    return f"{queue}: it broke" if rule_for(queue).phase == Phase.FAILED else None


def _end(story: Story, order: Sequence[RunMessage]) -> list[tuple[Any, ...]]:
    """The jobs after these messages, one a minute; what is recorded before changes nothing."""
    ledger = story.ledger()
    seen = set()
    for minute, message in enumerate(order):
        identity = (message.queue, message.job)
        if message.job is None or identity not in seen:
            ledger.receive(message, NOON + timedelta(minutes=minute))
        seen.add(identity)
    return sorted(_state(job) for job in ledger.jobs)


def _state(job: JobRecord) -> tuple[Any, ...]:
    """All but the hours, which are those of arrival."""
    body = sorted((job.body or {}).items())
    ended = (job.ended_at is None, job.lease_until is None)
    said = (job.agent, job.error, job.exit_code is None)
    return (job.step, job.attempt, job.queue, job.phase, *said, *ended, str(body))


@settings(settings.get_profile("short"))
@given(st.data(), stories(finals_of_a_job=1))
def test_any_order_and_any_repetition_ends_in_the_same_state(
    data: st.DataObject, story: Story
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(story.reports), max_size=6))
    order = data.draw(st.permutations([*story.reports, *repeated]))
    assert _end(story, order) == _end(story, story.reports)


@settings(settings.get_profile("short"))
@given(st.data(), stories(finals_of_a_job=3))
def test_reports_that_contradict_each_other_move_the_run_the_same_in_any_order(
    data: st.DataObject, story: Story
) -> None:
    order = data.draw(st.permutations(story.reports))
    moved, expected = story.ledger(), story.ledger()
    for ledger, messages in ((moved, order), (expected, story.reports)):
        for message in messages:
            ledger.receive(message, NOON)
    assert moved.phases() == expected.phases()
    assert _attempts(moved) == _attempts(expected)


def _attempts(ledger: RunLedger) -> list[tuple[str, int, str, Phase]]:
    return sorted((job.step, job.attempt, job.queue, job.phase) for job in ledger.jobs)


@given(st.permutations([names.SMS, names.POSTPROCESS_DATA_READY, names.POSTPROCESS_INFO]))
def test_the_announcement_may_come_before_or_after_what_was_said_while_measuring(
    order: list[str],
) -> None:
    ledger = RunLedger()
    for queue in order:
        ledger.receive(_message(queue), NOON)
    assert ledger.data_ready_at == NOON
    assert ledger.phases() == {
        Step.CATALOGUING: Phase.REQUESTED,
        Step.REDUCTION: Phase.REQUESTED,
        Step.REDUCTION_CATALOGUING: Phase.WAITING,
    }
