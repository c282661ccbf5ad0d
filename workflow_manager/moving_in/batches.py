"""The history of runs, a batch of runs in one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import JOB_QUEUES
from workflow_manager.domain.steps import Phase
from workflow_manager.moving_in.old_system import OldSystem
from workflow_manager.moving_in.staging import copy_blocks
from workflow_manager.sql import MOVING_IN

# In this order; what a statement leaves behind is what the next one reads.
_STATEMENTS = (
    *(
        "find_known",
        "take_over",
        "order_history",
        "find_opened",
        "blame",
        "fold_history",
        "fold_summaries",
    ),
    *("put_jobs", "put_runs", "put_first_announcements", "forget_moved", "put_events"),
    *("mark", "done"),
)
# A temporary table has no statistics until it is told to; without them plans are far too slow.
_ANALYZED_AFTER = {
    "find_known": "known_event",
    "take_over": "batch",
    "order_history": "history",
    "fold_summaries": "attempt",
}
# The queue that a step's jobs usually go to, and how far a step can be, for the statements.
_VALUES = {
    **{step.value: queue for queue, step in reversed(list(JOB_QUEUES.items()))},
    **{phase.word: phase.value for phase in Phase},
    "data_ready": names.POSTPROCESS_DATA_READY,
}


@dataclass(frozen=True, slots=True)
class Moved:
    """One batch that is here for good: how many runs, and how many statuses were read."""

    runs: int
    statuses: int


def move_history(there: OldSystem, runs_at_once: int) -> Iterator[Moved]:
    """Move every run that is pending, oldest first; each batch is committed when it is told."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(MOVING_IN["next_batch"], {"limit": runs_at_once})
            rows = cursor.fetchall()
        if not rows:
            return
        source_runs = [source_run for source_run, _ in rows]
        leaders = sorted({leader for _, leader in rows})
        with transaction.atomic(), connection.cursor() as cursor:
            statuses = _fetch(cursor, there, source_runs)
            _move(cursor, leaders)
        yield Moved(len(leaders), statuses)


def _fetch(cursor: CursorWrapper, there: OldSystem, source_runs: list[int]) -> int:
    cursor.execute("TRUNCATE old_status, batch, known_event, history, opened, attempt")
    copy_blocks(cursor, "old_status", there.statuses(source_runs))
    cursor.execute("ANALYZE old_status")
    cursor.execute("SELECT count(*) FROM old_status")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _move(cursor: CursorWrapper, leaders: list[int]) -> None:
    cursor.execute(MOVING_IN["lock_runs"], {"leaders": leaders})
    for name in _STATEMENTS:
        cursor.execute(MOVING_IN[name], _VALUES)
        if name in _ANALYZED_AFTER:
            cursor.execute(f"ANALYZE {_ANALYZED_AFTER[name]}")
