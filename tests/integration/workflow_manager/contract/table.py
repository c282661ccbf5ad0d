"""A row of the contract's table of queues (§1.4), and what each kind of row has to do.

A module's `ROWS` can be laid beside the contract: queue, what it answers, what happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.workflow_manager.contract.site import (
    SPELLINGS,
    RunSeen,
    Site,
    stc,
    web,
)
from workflow_manager.domain.rules import step_of
from workflow_manager.domain.steps import Phase, Step

# Tests only read through Django; the tables are emptied when the manager has stopped.
ON_DATABASE = pytest.mark.django_db
HOST = "autoreducer4.sns.gov"
# Longer than the old tables could hold, and with what JSON and SQL escape.
ERROR = "REDUCTION: workspace 'X' does not exist \\ \"µ\" " + "x" * 300
INSTRUMENT_WITH_ROUTES = "nom"
INSTRUMENT_WITH_MUCH_MEMORY = "hysa"
_AFTER_REDUCTION = (
    *("REDUCTION_CATALOG.DATA_READY", "CALVERA.REDUCED.DATA_READY"),
    "INTERSECT.REDUCED.DATA_READY",
)
# What agents add to the dictionary that they received, and what is not passed on.
_SAID_BY_AGENTS = ("information", "error", "agent", "exit_code", "started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class Row:
    """A queue, and what a message on it does.

    `answers` names the queue of the job that a report is about, `phase` how far that job is then.
    `sends` are the queues on which agents find a job afterwards.
    """

    queue: str
    answers: str = ""
    phase: Phase | None = None
    sends: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.queue} {self.answers}".strip()

    @property
    def is_error(self) -> bool:
        return self.phase == Phase.FAILED


def _copied(job: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Agents of today: the whole dictionary that they received, and their host's name."""
    reply = {**job, "information": HOST}
    return {**reply, "error": ERROR} if row.is_error else reply


def _without_job(job: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """An agent that got its dictionary from elsewhere, or dropped what it did not know."""
    reply = _copied(job, row)
    del reply["job_id"], reply["attempt"]
    return reply


def _ours(job: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Our agent, which tells more at the end."""
    if row.phase == Phase.STARTED:
        return _copied(job, row)
    return {
        **_copied(job, row),
        "agent": HOST,
        "exit_code": 1 if row.is_error else 0,
        "started_at": "2026-02-19T12:00:00+00:00",
        "ended_at": "2026-02-19T12:00:30+00:00",
    }


Reply = Callable[[Mapping[str, Any], Row], dict[str, Any]]
REPLIES: tuple[Reply, ...] = (_without_job, _copied, _ours)
NAMED_REPLIES: tuple[Reply, ...] = (_copied, _ours)


def check_wish(site: Site, row: Row) -> None:
    """Recorded whole, and exactly one job on each queue that follows."""
    bodies = (stc, web, _with_error)
    cases = [(spelling, body) for spelling in SPELLINGS for body in bodies]
    sent = {site.new_run(): case for case in cases}
    contents = {run: body(run) for run, (_, body) in sent.items()}
    for run, (spelling, _) in sent.items():
        site.send(spelling + row.queue, contents[run])
    for run in sent:
        site.await_queues(run, [row.queue, *row.sends])
    site.settle()
    for run, content in contents.items():
        _check_event(run, row.queue, content)
        assert [job.queue for job in run.jobs()] == list(row.sends)
        requested = {step_of(queue): Phase.REQUESTED for queue in row.sends}
        assert run.phases == _waiting() | requested
        _check_jobs(site, run, row.sends, content)


def check_report(site: Site, row: Row, replies: tuple[Reply, ...] = REPLIES) -> None:
    """The job is where the agent says it is, and what follows is asked for once."""
    sent = {site.new_run(_instrument(row.answers)): None for _ in replies for _ in SPELLINGS}
    given(site, list(sent), row.answers)
    cases = [(spelling, reply) for spelling in SPELLINGS for reply in replies]
    contents = {}
    before = {run: (run.queues, run.phases) for run in sent}
    for run, (spelling, reply) in zip(sent, cases, strict=True):
        contents[run] = reply(site.await_job(run, row.answers).body, row)
        site.send(spelling + row.queue, contents[run])
    for run in sent:
        site.await_queues(run, [*before[run][0], row.queue, *row.sends])
    site.settle()
    for run, content in contents.items():
        _check_event(run, row.queue, content)
        _check_reported(run, row, content)
        assert run.phases == _expected(before[run][1], row)
        _check_jobs(site, run, row.sends, content)


def check_fact(site: Site, row: Row) -> None:
    """Recorded whole, with no effect."""
    contents = {}
    for spelling in SPELLINGS:
        run = site.new_run()
        contents[run] = stc(run, information="said by hand", error=ERROR)
        site.send(spelling + row.queue, contents[run])
    for run in contents:
        site.await_queues(run, [row.queue])
    site.settle()
    for run, content in contents.items():
        _check_event(run, row.queue, content)
        assert run.jobs() == []
        assert run.phases == _waiting()
        assert site.jobs_of(run) == []


def check_left_alone(site: Site, row: Row) -> None:
    """What the manager does not read stays for whoever does."""
    run = site.new_run()
    site.send(f"/queue/{row.queue}", stc(run))
    site.settle()
    assert not run.exists
    here = f"/queue/{row.queue}"
    site.client.subscribe(here)
    assert site.client.wait_for(
        lambda: [
            frame
            for frame in site.client.frames
            if frame.destination == here and frame.run == (run.instrument, run.number)
        ]
    )


def given(site: Site, runs: list[RunSeen], job_queue: str) -> None:
    """Runs whose job on that queue has reached an agent."""
    prepare_routes(site)
    for run in runs:
        site.send("/queue/POSTPROCESS.DATA_READY", stc(run))
    if job_queue in _AFTER_REDUCTION:
        for run in runs:
            job = site.await_job(run, "REDUCTION.DATA_READY").body
            site.send("/queue/REDUCTION.COMPLETE", {**job, "information": HOST})
    for run in runs:
        site.await_job(run, job_queue)


def prepare_routes(site: Site) -> None:
    """Two instruments as sites have them: one with extra services, one with large data."""
    site.route(
        INSTRUMENT_WITH_ROUTES,
        POSTPROCESS__DATA_READY=(
            *("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"),
            *("CALVERA.RAW.DATA_READY", "INTERSECT.RAW.DATA_READY"),
        ),
        REDUCTION__COMPLETE=_AFTER_REDUCTION,
    )
    site.route(
        INSTRUMENT_WITH_MUCH_MEMORY,
        POSTPROCESS__DATA_READY=("CATALOG.ONCAT.DATA_READY", "REDUCTION.HIMEM.DATA_READY"),
    )


def _instrument(job_queue: str) -> str:
    if job_queue.startswith(("CALVERA.", "INTERSECT.")):
        return INSTRUMENT_WITH_ROUTES
    return INSTRUMENT_WITH_MUCH_MEMORY if "HIMEM" in job_queue else "arcs"


def _with_error(run: RunSeen) -> dict[str, Any]:
    """A wish with everything that is recorded and not passed on."""
    return stc(run, information="again, please", error=ERROR, nested={"kept": [1, None, "µ"]})


def _waiting() -> dict[Step, Phase]:
    return dict.fromkeys(Step, Phase.WAITING)


def _expected(before: Mapping[Step, Phase], row: Row) -> dict[Step, Phase]:
    after = dict(before)
    reached = {step_of(row.answers): row.phase}
    reached |= {step_of(queue): Phase.REQUESTED for queue in row.sends}
    return {step: reached.get(step) or phase for step, phase in after.items()}


def _check_event(run: RunSeen, queue: str, content: Mapping[str, Any]) -> None:
    event = run.event(queue)
    assert event.body == content
    assert event.information == content.get("information", "")
    assert event.error == content.get("error", "")


def _check_reported(run: RunSeen, row: Row, content: Mapping[str, Any]) -> None:
    job = run.job(row.answers)
    assert run.event(row.queue).job_id == job.id
    assert (job.attempt, job.phase, job.agent) == (1, row.phase, HOST)
    assert job.error == (ERROR if row.is_error else "")
    assert job.exit_code == content.get("exit_code")
    is_over = row.phase is not None and row.phase.is_final
    assert (job.ended_at is not None) == is_over
    if row.phase == Phase.STARTED:
        assert job.started_at is not None
    if "started_at" in content:
        assert job.started_at is not None
        assert job.ended_at is not None
        assert (job.ended_at - job.started_at).total_seconds() == 30


def _check_jobs(
    site: Site, run: RunSeen, queues: tuple[str, ...], content: Mapping[str, Any]
) -> None:
    """Each agent's message: literally `/queue/…`, persistent, whole, once."""
    passed_on = {key: value for key, value in content.items() if key not in _SAID_BY_AGENTS}
    for queue in queues:
        job = run.job(queue)
        assert (job.attempt, job.phase, job.agent, job.error) == (1, Phase.REQUESTED, "", "")
        frame = site.await_job(run, queue)
        assert frame.headers["persistent"] == "true"
        assert frame.body == {**passed_on, "job_id": job.id, "attempt": 1}
        assert run.event(queue).job_id == job.id
