"""Wishes for many runs at once: one batch row, its jobs held here, let go by `dispatch`."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from workflow_manager import selectors
from workflow_manager.domain.priorities import BULK
from workflow_manager.domain.rules import WISH_QUEUES, rule_for, step_of
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Batch
from workflow_manager.selectors import RunFilter
from workflow_manager.services import CHANGES, JOBS, RequestRefusedError, notify
from workflow_manager.sql import BATCHES

LARGEST = 10_000
EVERYTHING = "all"


class _Wish(NamedTuple):
    """One job that is wanted."""

    run_id: int
    queue: str
    step: str


@dataclass(frozen=True, slots=True)
class _Order:
    """What is wanted, by whom, and why."""

    step: str
    description: str
    by: str
    reason: str
    priority: int

    @property
    def queue(self) -> str:
        """The queue of the same wish for one run: its route holds for many too."""
        return WISH_QUEUES[None if self.step == EVERYTHING else Step(self.step)]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many jobs of a batch are where."""

    held: int = 0
    cancelled: int = 0
    sent: int = 0
    running: int = 0
    failed: int = 0
    skipped: int = 0
    done: int = 0


def request_step_of_many(
    runs: RunFilter | Sequence[int],
    step: Step | None,
    *,
    by: str,
    reason: str = "",
    priority: int = BULK,
) -> Batch:
    """Ask for one step of many runs, or for everything that follows when data is ready (None).

    Runs without a data file are left out, and those that their instrument's route stops.

    Args:
        runs: those that a list with this filter shows, or their database ids.

    Raises:
        RequestRefusedError: no run is left, or more than `LARGEST`.
    """
    description = _description(runs)
    ids = selectors.run_ids(runs, limit=LARGEST + 1) if isinstance(runs, RunFilter) else list(runs)
    if len(ids) > LARGEST:
        raise RequestRefusedError(
            f"More than {LARGEST:,} runs are wanted at once ({description}): ask for fewer."
        )
    order = _Order(str(step) if step else EVERYTHING, description, by, reason, priority)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BATCHES["lock_runs"], {"run_ids": ids, "queue": order.queue})
        locked = cursor.fetchall()
        wishes = list(_wishes(locked, rule_for(order.queue).then))
        if not wishes:
            raise RequestRefusedError(f"None of the runs ({description}) can be processed.")
        batch_id = _add(cursor, order, wishes)
        wanted = {wish.run_id for wish in wishes}
        _tell(cursor, batch_id, {row[2] for row in locked if row[0] in wanted})
    return Batch.objects.get(id=batch_id)


def retry_failed(batch_id: int, by: str) -> Batch:
    """Ask again for the jobs of a batch that failed and were not tried again since.

    Raises:
        RequestRefusedError: there are none.
        Batch.DoesNotExist: there is no such batch.
    """
    before = Batch.objects.get(id=batch_id)
    with transaction.atomic(), connection.cursor() as cursor:
        ids = [wish.run_id for wish in _failed(cursor, batch_id)]
        cursor.execute(BATCHES["lock_runs"], {"run_ids": ids, "queue": ""})
        instruments = {row[0]: row[2] for row in cursor.fetchall()}
        # Asked again behind the locks: somebody else may have retried them meanwhile.
        wishes = [wish for wish in _failed(cursor, batch_id) if wish.run_id in instruments]
        if not wishes:
            raise RequestRefusedError(f"Nothing of batch {batch_id} failed and waits for a retry.")
        description = f"failed of batch {batch_id}"
        order = _Order(before.step, description, by, before.reason, before.priority)
        new = _add(cursor, order, wishes)
        _tell(cursor, new, {instruments[wish.run_id] for wish in wishes})
    return Batch.objects.get(id=new)


def pause(batch_id: int, by: str) -> bool:
    """Let no more of its jobs go; what agents have goes on. False if it was not running."""
    return _change(batch_id, by, Batch.State.RUNNING, Batch.State.PAUSED)


def resume(batch_id: int, by: str) -> bool:
    """Let its jobs go again. False if it was not paused."""
    return _change(batch_id, by, Batch.State.PAUSED, Batch.State.RUNNING)


def cancel(batch_id: int, by: str) -> int:
    """Take back what still waits, and return how many jobs: earlier attempts count again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BATCHES["lock_held"], {"batch": batch_id})
        instruments = dict(cursor.fetchall())
        cursor.execute(BATCHES["cancel_held"], {"batch": batch_id})
        cancelled = int(cursor.rowcount)
        cursor.execute(BATCHES["update_phases"], {"run_ids": list(instruments)})
        open_states = (Batch.State.RUNNING, Batch.State.PAUSED)
        Batch.objects.filter(id=batch_id, state__in=open_states).update(
            state=Batch.State.CANCELLED, state_changed_at=Now(), state_changed_by=by
        )
        _tell(cursor, batch_id, set(instruments.values()))
    return cancelled


def latest(limit: int) -> list[Batch]:
    """Batches, newest first."""
    return list(Batch.objects.order_by("-requested_at", "-id")[:limit])


def progress(batch_ids: Collection[int]) -> dict[int, Progress]:
    """How far these batches are."""
    with connection.cursor() as cursor:
        cursor.execute(BATCHES["progress"], {"batches": list(batch_ids)})
        columns = [column.name for column in cursor.description][1:]
        found = {
            batch_id: Progress(**dict(zip(columns, counts, strict=True)))
            for batch_id, *counts in cursor.fetchall()
        }
    return {batch_id: found.get(batch_id, Progress()) for batch_id in batch_ids}


def _wishes(
    locked: Sequence[tuple[int, int, str, int, list[str] | None]], usual: Sequence[str]
) -> Iterator[_Wish]:
    for run_id, _, _, _, route in locked:
        for queue in usual if route is None else route:
            yield _Wish(run_id, queue, str(step_of(queue)))


def _failed(cursor: CursorWrapper, batch_id: int) -> list[_Wish]:
    cursor.execute(BATCHES["failed"], {"batch": batch_id, "failed": Phase.FAILED.value})
    return [_Wish(*row) for row in cursor.fetchall()]


def _add(cursor: CursorWrapper, order: _Order, wishes: Sequence[_Wish]) -> int:
    run_ids = sorted({wish.run_id for wish in wishes})
    cursor.execute(BATCHES["add_batch"], asdict(order) | {"runs": len(run_ids)})
    batch_id = int(cursor.fetchone()[0])
    of_batch: dict[str, Any] = asdict(order) | {"batch": batch_id}
    jobs = {
        "run_ids": [wish.run_id for wish in wishes],
        "queues": [wish.queue for wish in wishes],
        "steps": [wish.step for wish in wishes],
        "requested": Phase.REQUESTED.value,
    }
    cursor.execute(BATCHES["add_jobs"], of_batch | jobs)
    history = {
        "run_ids": run_ids,
        "queue": order.queue,
        "information": f"Requested by {order.by}",
    }
    cursor.execute(BATCHES["add_events"], of_batch | history)
    cursor.execute(BATCHES["update_phases"], {"run_ids": run_ids})
    return batch_id


def _change(batch_id: int, by: str, before: Batch.State, after: Batch.State) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        changed = Batch.objects.filter(id=batch_id, state=before).update(
            state=after, state_changed_at=Now(), state_changed_by=by
        )
        _tell(cursor, batch_id, set())
    return bool(changed)


def _tell(cursor: CursorWrapper, batch_id: int, instruments: Collection[str]) -> None:
    """One notice for each instrument: ten thousand runs are more than a page can show."""
    notify(cursor, CHANGES, [f"batch {batch_id}", *(f"instrument {n}" for n in instruments)])
    notify(cursor, JOBS)


def _description(runs: RunFilter | Sequence[int]) -> str:
    if not isinstance(runs, RunFilter):
        return f"{len(runs)} chosen runs"
    words = [
        *([runs.instrument.upper()] if runs.instrument else ["all instruments"]),
        *([runs.proposal.upper()] if runs.proposal else []),
        *([runs.state.value] if runs.state else []),
    ]
    return ", ".join(words)
