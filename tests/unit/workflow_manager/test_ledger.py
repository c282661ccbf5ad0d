"""What a run's messages do to its steps, in any order and however often."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES, JOB_QUEUES, RULES, Rule, rule_for
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import RunLedger
from workflow_manager.protocol.messages import JobReference, RunMessage

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def message(queue: str, job: tuple[int, int] | None = None, **body: Any) -> RunMessage:
    return RunMessage(
        queue=queue,
        instrument="arcs",
        run_number=1,
        proposal="IPTS-1",
        facility="SNS",
        data_file="/SNS/ARCS/IPTS-1/nexus/ARCS_1.nxs.h5",
        information=body.get("information"),
        error=body.get("error"),
        job=JobReference(*job) if job else None,
        body=body,
    )


def started_run() -> RunLedger:
    """A run whose data is ready; its two jobs have the numbers 1 and 2."""
    ledger = RunLedger()
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    for number, job in enumerate(ledger.jobs, start=1):
        job.job_id = number
    return ledger


def test_every_input_has_a_rule_and_every_follow_up_is_a_job_queue() -> None:
    assert {queue for queue in INPUT_QUEUES if rule_for(queue) == Rule()} <= RULES.keys()
    assert {queue for rule in RULES.values() for queue in rule.then} <= JOB_QUEUES.keys()
    assert not set(INPUT_QUEUES) & JOB_QUEUES.keys()


def test_data_ready_asks_for_cataloguing_and_reduction() -> None:
    ledger = started_run()
    assert [(job.queue, job.attempt) for job in ledger.jobs] == [
        (names.CATALOG_JOBS, 1),
        (names.REDUCTION_JOBS, 1),
    ]
    assert ledger.data_ready_at == NOW


def test_the_next_job_gets_the_whole_body_without_what_was_said_about_the_last() -> None:
    ledger = started_run()
    complete = message(
        names.REDUCTION_COMPLETE, (2, 1), information="node1", exit_code=0, src_id="STC_1"
    )
    ledger.receive(complete, NOW)
    body = ledger.jobs[-1].body
    assert body is not None
    assert body["src_id"] == "STC_1"
    assert body["facility"] == "SNS"
    assert not {"information", "exit_code", "job_id", "attempt"} & body.keys()


@given(st.permutations([names.REDUCTION_STARTED, names.REDUCTION_COMPLETE]))
def test_reports_of_one_attempt_may_come_in_any_order(order: list[str]) -> None:
    ledger = started_run()
    for queue in order:
        ledger.receive(message(queue, (2, 1), information="node1"), NOW)
    assert ledger.phases()[Step.REDUCTION] == Phase.DONE
    assert [job.queue for job in ledger.jobs].count(names.REDUCTION_CATALOG_JOBS) == 1


def test_a_late_report_of_an_old_attempt_does_not_touch_the_new_one() -> None:
    ledger = started_run()
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    ledger.receive(message(names.REDUCTION_COMPLETE, (2, 1)), NOW)
    newest = ledger.newest(Step.REDUCTION)
    assert newest is not None
    assert (newest.attempt, newest.phase) == (2, Phase.REQUESTED)
    assert ledger.newest(Step.REDUCTION_CATALOGUING) is None


def test_an_error_that_names_its_job_fails_that_step_only() -> None:
    ledger = started_run()
    ledger.receive(message(names.POSTPROCESS_ERROR, (2, 1), error="Data file not found: /x"), NOW)
    phases = ledger.phases()
    assert phases[Step.REDUCTION] == Phase.FAILED
    assert phases[Step.CATALOGUING] == Phase.REQUESTED
    failed = ledger.newest(Step.REDUCTION)
    assert failed is not None
    assert failed.error == "Data file not found: /x"


def test_errors_of_an_old_agent_without_job_numbers_fail_one_job_each() -> None:
    ledger = started_run()
    for _ in range(2):
        ledger.receive(message(names.POSTPROCESS_ERROR, error="Data file not found: /x"), NOW)
    assert {job.phase for job in ledger.jobs} == {Phase.FAILED}


def test_a_report_nobody_asked_for_is_kept_as_a_first_attempt() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.CATALOG_COMPLETE, information="node1"), NOW)
    job = ledger.newest(Step.CATALOGUING)
    assert job is not None
    assert (job.attempt, job.phase, job.agent) == (1, Phase.DONE, "node1")


def test_durations_come_from_the_agents_clock_and_hours_from_ours() -> None:
    ledger = started_run()
    skewed = datetime(1999, 1, 1, tzinfo=UTC)
    ledger.receive(
        message(
            names.REDUCTION_COMPLETE,
            (2, 1),
            started_at=skewed.isoformat(),
            ended_at=(skewed + timedelta(seconds=9)).isoformat(),
        ),
        NOW,
    )
    job = ledger.newest(Step.REDUCTION)
    assert job is not None
    assert (job.started_at, job.ended_at) == (NOW - timedelta(seconds=9), NOW)


def test_all_permutations_of_a_runs_reports_end_in_the_same_state() -> None:
    reports = [
        message(names.CATALOG_STARTED, (1, 1)),
        message(names.CATALOG_COMPLETE, (1, 1)),
        message(names.REDUCTION_STARTED, (2, 1)),
        message(names.REDUCTION_ERROR, (2, 1), error="boom"),
        message(names.SMS, information="SMS run stopped"),
    ]
    orders = list(itertools.permutations(reports))
    random.Random(1).shuffle(orders)  # noqa: S311 - not a secret
    ends = set()
    for order in orders:
        ledger = started_run()
        for report in order:
            ledger.receive(report, NOW)
        ends.add(tuple((job.step, job.attempt, job.phase, job.error) for job in ledger.jobs))
    assert len(ends) == 1
