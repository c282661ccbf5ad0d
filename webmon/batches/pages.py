"""Values of the pages about requests for many runs."""

import datetime as dt
from dataclasses import dataclass

from webmon.accounts.policies import User, may_steer
from webmon.runs.verdict import first_line, without_step
from workflow_manager import batches, selectors
from workflow_manager.batches import EVERYTHING, LARGEST, Progress
from workflow_manager.domain.steps import Step, step_label
from workflow_manager.models import Batch, Job
from workflow_manager.selectors import RunFilter

ROWS = 50
FAILURES = 50
CHOICES = ("", *Step)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One wish; `jobs` is how many jobs it has become, in whatever state they are."""

    id: int
    step: str
    description: str
    requested_by: str
    reason: str
    requested_at: dt.datetime
    state: str
    state_changed_by: str
    state_changed_at: dt.datetime
    runs: int
    jobs: int
    progress: Progress
    may_pause: bool
    may_resume: bool
    may_cancel: bool
    may_retry: bool


@dataclass(frozen=True, slots=True)
class BatchListPage:
    """Newest first; `is_cut` if there are older ones than are shown."""

    rows: tuple[BatchRow, ...]
    is_cut: bool
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """A job of a batch that failed."""

    instrument: str
    number: int
    step: str
    agent: str
    problem: str
    ended_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """One batch; `failures` are its newest failed jobs, `problem` why a wish was refused."""

    batch: BatchRow
    failures: tuple[Failure, ...]
    problem: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class NewBatchPage:
    """What a request for many runs would be; `is_too_many` if it is more than one may have."""

    filter: RunFilter
    step: str
    runs: int
    is_too_many: bool
    largest: int
    reason: str
    problem: str


def step_words(step: str) -> str:
    """`Reduction`, or what everything together is called."""
    return "Everything" if step in {"", EVERYTHING} else step_label(step)


def batch_list_page(person: User, now: dt.datetime) -> BatchListPage:
    found = batches.latest(ROWS + 1)
    shown = found[:ROWS]
    progress = batches.progress([batch.id for batch in shown])
    rows = tuple(_row(batch, progress[batch.id], person) for batch in shown)
    return BatchListPage(rows, len(found) > ROWS, now)


def batch_page(batch: Batch, person: User, now: dt.datetime, *, problem: str = "") -> BatchPage:
    progress = batches.progress([batch.id])[batch.id]
    failed = selectors.failed_jobs_of_batch(batch, limit=FAILURES) if progress.failed else []
    return BatchPage(
        _row(batch, progress, person), tuple(map(_failure, failed)), problem=problem, read_at=now
    )


def new_batch_page(
    wanted: RunFilter, step: Step | None, *, reason: str = "", problem: str = ""
) -> NewBatchPage:
    """How many runs the filter finds now."""
    runs = len(selectors.run_ids(wanted, limit=LARGEST + 1))
    return NewBatchPage(
        filter=wanted,
        step=step or "",
        runs=runs,
        is_too_many=runs > LARGEST,
        largest=LARGEST,
        reason=reason,
        problem=problem,
    )


def _row(batch: Batch, progress: Progress, person: User) -> BatchRow:
    is_allowed = may_steer(person, batch.requested_by)
    is_open = batch.state in {Batch.State.RUNNING, Batch.State.PAUSED}
    return BatchRow(
        id=batch.id,
        step=step_words(batch.step),
        description=batch.description,
        requested_by=batch.requested_by,
        reason=batch.reason,
        requested_at=batch.requested_at,
        state=_state(batch, progress),
        state_changed_by=batch.state_changed_by,
        state_changed_at=batch.state_changed_at,
        runs=batch.runs,
        jobs=sum(getattr(progress, name) for name in Progress.__dataclass_fields__),
        progress=progress,
        may_pause=is_allowed and batch.state == Batch.State.RUNNING and progress.held > 0,
        may_resume=is_allowed and batch.state == Batch.State.PAUSED,
        may_cancel=is_allowed and is_open and progress.held > 0,
        may_retry=is_allowed and progress.failed > 0,
    )


def _state(batch: Batch, progress: Progress) -> str:
    """That of the batch; once everything has left, whether everything has ended too."""
    has_ended = not (progress.held or progress.sent or progress.running)
    return "done" if batch.state == Batch.State.SENT and has_ended else batch.state


def _failure(job: Job) -> Failure:
    return Failure(
        instrument=job.run.instrument.name,
        number=job.run.number,
        step=step_label(job.step),
        agent=job.agent,
        problem=first_line(without_step(job.error)),
        ended_at=job.ended_at,
    )
