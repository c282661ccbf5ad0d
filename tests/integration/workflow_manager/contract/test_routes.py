"""§4.4: an instrument's own way after a message, in the place of the default."""

from collections.abc import Sequence

import pytest

from tests.integration.workflow_manager.contract.site import RunSeen, Site, stc
from tests.integration.workflow_manager.contract.table import HOST, ON_DATABASE
from workflow_manager.domain.steps import Phase, Step

BEGIN = "POSTPROCESS.DATA_READY"

pytestmark = ON_DATABASE


def begin(site: Site, run: RunSeen, *expected: str) -> None:
    site.send(f"/queue/{BEGIN}", stc(run))
    site.await_queues(run, [BEGIN, *expected])


def report(site: Site, run: RunSeen, job_queue: str, reply_queue: str) -> None:
    job = site.await_job(run, job_queue).body
    site.send(f"/queue/{reply_queue}", {**job, "information": HOST})
    assert site.await_true(lambda: reply_queue in run.queues)


def received(site: Site, run: RunSeen) -> list[str]:
    """The queues on which agents got a job of this run, once nothing more can come."""
    site.settle()
    return sorted(frame.destination.removeprefix("/queue/") for frame in site.jobs_of(run))


def test_high_memory_in_the_place_of_ordinary_reduction(site: Site) -> None:
    site.route("usans", POSTPROCESS__DATA_READY=["REDUCTION.HIMEM.DATA_READY"])
    run = site.new_run("usans")
    begin(site, run, "REDUCTION.HIMEM.DATA_READY")
    assert received(site, run) == ["REDUCTION.HIMEM.DATA_READY"]
    report(site, run, "REDUCTION.HIMEM.DATA_READY", "REDUCTION.COMPLETE")
    assert run.phases == {
        Step.CATALOGUING: Phase.SKIPPED,
        Step.REDUCTION: Phase.DONE,
        Step.REDUCTION_CATALOGUING: Phase.REQUESTED,
    }


@pytest.mark.parametrize("service", ["CALVERA", "INTERSECT"])
@pytest.mark.parametrize(("end", "phase"), [("COMPLETE", Phase.DONE), ("ERROR", Phase.FAILED)])
def test_a_service_beside_the_usual_ones(site: Site, service: str, end: str, phase: Phase) -> None:
    raw, reduced = f"{service}.RAW", f"{service}.REDUCED"
    usual = ("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY")
    site.route(
        "hb2a",
        POSTPROCESS__DATA_READY=[*usual, f"{raw}.DATA_READY"],
        REDUCTION__COMPLETE=["REDUCTION_CATALOG.DATA_READY", f"{reduced}.DATA_READY"],
    )
    run = site.new_run("hb2a")
    begin(site, run, *usual, f"{raw}.DATA_READY")
    report(site, run, f"{raw}.DATA_READY", f"{raw}.{end}")
    report(site, run, "REDUCTION.DATA_READY", "REDUCTION.COMPLETE")
    report(site, run, f"{reduced}.DATA_READY", f"{reduced}.{end}")
    jobs = {job.queue: job.phase for job in run.jobs()}
    assert (jobs[f"{raw}.DATA_READY"], jobs[f"{reduced}.DATA_READY"]) == (phase, phase)
    assert run.phases[Step.REDUCTION] == Phase.DONE


@pytest.mark.parametrize(
    ("queue", "given"),
    [
        ("POSTPROCESS.DATA_READY", []),
        ("REDUCTION.REQUEST", []),
        ("CATALOG.REQUEST", []),
        ("REDUCTION.COMPLETE", ["CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"]),
    ],
)
def test_a_route_without_targets_ends_the_way_and_says_so(
    site: Site, queue: str, given: Sequence[str]
) -> None:
    instrument = "stop" + queue.split(".", maxsplit=1)[0].lower() + queue[-2:].lower()
    site.route(instrument, **{queue.replace(".", "__"): []})
    run = site.new_run(instrument)
    if given:
        begin(site, run, *given)
        report(site, run, "REDUCTION.DATA_READY", queue)
    else:
        site.send(f"/queue/{queue}", stc(run))
    before = [BEGIN, *given] if given else []
    site.await_queues(run, [*before, queue, "POSTPROCESS.INFO"])
    said = run.event("POSTPROCESS.INFO").information
    assert said == f"Nothing follows: the route of {instrument} for {queue} has no targets."
    assert received(site, run) == sorted(given)


def test_a_route_of_one_instrument_is_no_route_of_another(site: Site) -> None:
    site.route("mine", POSTPROCESS__DATA_READY=[])
    other = site.new_run("yours")
    begin(site, other, "CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY")
    assert received(site, other) == ["CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"]


def test_a_route_of_one_queue_leaves_the_others_as_they_are(site: Site) -> None:
    site.route("partly", REDUCTION__REQUEST=["REDUCTION.HIMEM.DATA_READY"])
    run = site.new_run("partly")
    begin(site, run, "CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY")
    site.send("REDUCTION.REQUEST", stc(run))
    job = site.await_job(run, "REDUCTION.HIMEM.DATA_READY").body
    assert job["attempt"] == 2
