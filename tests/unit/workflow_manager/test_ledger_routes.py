"""What an instrument's route, a limit and a request change in a run's ledger."""

from tests.unit.workflow_manager.test_ledger import NOW, message
from workflow_manager.domain import destinations as names
from workflow_manager.domain.states import is_complete
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import RunLedger


def sent_queues(ledger: RunLedger) -> list[str]:
    return [job.queue for job in ledger.jobs if job.body is not None]


def test_a_route_replaces_where_the_run_goes() -> None:
    targets = [names.CATALOG_JOBS, names.HIGH_MEMORY_REDUCTION_JOBS, names.CALVERA_RAW_JOBS]
    ledger = RunLedger(routes={names.POSTPROCESS_DATA_READY: targets})
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    assert sent_queues(ledger) == targets
    assert [job.step for job in ledger.jobs] == ["cataloguing", "reduction", "calvera.raw"]


def test_the_report_of_a_routed_step_finds_its_job_and_changes_no_other() -> None:
    ledger = RunLedger(routes={names.POSTPROCESS_DATA_READY: [names.CALVERA_RAW_JOBS]})
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    job = ledger.receive(message(names.CALVERA_RAW_ERROR, error="no such sample"), NOW)
    assert job is not None
    assert (job.step, job.phase, job.error) == ("calvera.raw", Phase.FAILED, "no such sample")
    assert Phase.FAILED not in ledger.phases().values()


def test_a_report_of_a_step_that_no_route_named_is_only_a_fact() -> None:
    ledger = RunLedger()
    assert ledger.receive(message("SITE.SPECIAL.COMPLETE"), NOW) is None
    assert ledger.jobs == []


def test_steps_that_a_route_leaves_out_are_skipped_and_say_why() -> None:
    ledger = RunLedger(
        routes={
            names.POSTPROCESS_DATA_READY: [names.REDUCTION_JOBS],
            names.REDUCTION_COMPLETE: [],
        }
    )
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    ledger.receive(message(names.REDUCTION_COMPLETE), NOW)
    assert ledger.phases() == {
        Step.CATALOGUING: Phase.SKIPPED,
        Step.REDUCTION: Phase.DONE,
        Step.REDUCTION_CATALOGUING: Phase.SKIPPED,
    }
    assert is_complete(ledger.phases())
    skipped = ledger.newest(Step.CATALOGUING)
    assert skipped is not None
    assert skipped.reason == "The route of ARCS for POSTPROCESS.DATA_READY leaves it out."


def test_a_route_that_skips_does_not_undo_what_is_done() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.CATALOG_COMPLETE), NOW)
    ledger.routes = {names.CATALOG_REQUEST: []}
    ledger.receive(message(names.CATALOG_REQUEST), NOW)
    assert ledger.phases()[Step.CATALOGUING] == Phase.DONE
    assert ledger.is_stopped_by_route(names.CATALOG_REQUEST)


def test_jobs_of_a_limited_instrument_are_held_without_a_lease() -> None:
    ledger = RunLedger(holds_jobs=True)
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    assert all(job.is_held and job.lease_until is None for job in ledger.jobs)


def test_a_lease_lasts_until_the_end_is_reported() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    job = ledger.jobs[0]
    assert job.lease_until is not None
    before = job.lease_until
    ledger.receive(message(names.REDUCTION_STARTED), NOW)
    assert job.lease_until > before
    ledger.receive(message(names.REDUCTION_ERROR, error="vanadium is missing"), NOW)
    assert job.lease_until is None


def test_a_report_without_a_number_is_about_what_was_sent_not_about_what_is_held() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    ledger.holds_jobs = True
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    first, held = ledger.jobs
    assert ledger.receive(message(names.REDUCTION_COMPLETE), NOW) is first
    assert held.phase == Phase.REQUESTED
    assert ledger.newest(Step.REDUCTION_CATALOGUING) is not None


def test_a_cancelled_attempt_leaves_the_one_before() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.REDUCTION_COMPLETE), NOW)
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    ledger.jobs[-1].is_cancelled = True
    assert ledger.phases()[Step.REDUCTION] == Phase.DONE


def test_a_wish_tells_who_and_why() -> None:
    ledger = RunLedger()
    wish = message(names.REDUCTION_REQUEST, information="Requested by abc", reason="new mask")
    ledger.receive(wish, NOW)
    job = ledger.jobs[0]
    assert (job.requested_by, job.reason) == ("abc", "new mask")
    assert job.body is not None
    assert "reason" not in job.body


def test_a_job_that_nobody_awaits_does_not_keep_the_run_open() -> None:
    """A step of a route without reports loses its lease; the run is not under way for ever."""
    ledger = RunLedger(routes={names.POSTPROCESS_DATA_READY: ["SITE.COPY.DATA_READY"]})
    ledger.receive(message(names.POSTPROCESS_DATA_READY), NOW)
    assert ledger.is_open
    for job in ledger.jobs:
        job.lease_until = None
    assert not ledger.is_open


def test_what_is_not_needed_is_not_sent_when_room_is_made() -> None:
    ledger = RunLedger(holds_jobs=True)
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    ledger.receive(message(names.REDUCTION_NOT_NEEDED), NOW)
    [job] = ledger.jobs
    assert (job.attempt, job.phase, job.is_held) == (1, Phase.SKIPPED, False)


def test_a_duration_that_cannot_be_is_no_duration() -> None:
    ledger = RunLedger()
    ledger.receive(message(names.REDUCTION_REQUEST), NOW)
    started, ended = "0002-01-01T00:00:00+00:00", "2026-11-21T12:00:00+00:00"
    ledger.receive(message(names.REDUCTION_COMPLETE, started_at=started, ended_at=ended), NOW)
    assert ledger.jobs[0].started_at is None
