"""The whole move: names, then history, then the counts that must agree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager.moving_in.batches import move_history
from workflow_manager.moving_in.old_system import OldSystem
from workflow_manager.moving_in.report import Report, report
from workflow_manager.moving_in.staging import stage
from workflow_manager.sql import MOVING_IN

# Any number that nobody else uses; PostgreSQL frees the lock when the session ends.
_LOCK = 0x77656269


class MovingInError(Exception):
    """The move cannot begin, and nothing was changed."""


def move_in(there: OldSystem, runs_at_once: int, tell: Callable[[str], None]) -> Report:
    """Copy what is there and not yet here; may be stopped anywhere and called again.

    Raises:
        MovingInError: another move is going on, or this is another installation than before.
        psycopg.Error, django.db.Error: what was committed stays; call again to continue.
    """
    with _alone():
        changed, pending, statuses = _prepare(there)
        tell(f"{pending} runs to move, {statuses} statuses there")
        runs = read = 0
        for moved in move_history(there, runs_at_once):
            runs += moved.runs
            read += moved.statuses
            tell(f"{runs} of {pending} runs, {read} statuses")
        return report(there, changed)


@contextmanager
def _alone() -> Iterator[None]:
    with connection.cursor() as cursor:
        if not _truth(cursor, "SELECT pg_try_advisory_lock(%s)", _LOCK):
            raise MovingInError("Another import into this database is going on.")
        try:
            yield
        finally:
            if connection.is_usable():
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _truth(cursor: CursorWrapper, statement: str, value: int) -> bool:
    cursor.execute(statement, [value])
    return bool(cursor.fetchone()[0])


def _prepare(there: OldSystem) -> tuple[dict[str, str], int, int]:
    """The names that changed, and how many runs and statuses there are to look at."""
    with transaction.atomic(), connection.cursor() as cursor:
        changed = stage(cursor, there)
        cursor.execute(MOVING_IN["other_installation"])
        others = cursor.fetchone()[0]
        if others:
            raise MovingInError(
                f"{others} runs that were imported earlier have other numbers or instruments in "
                "this database: it is not the installation that was imported before."
            )
        cursor.execute(MOVING_IN["find_pending"])
        cursor.execute("SELECT count(*), (SELECT sum(statuses) FROM old_run) FROM pending")
        pending, statuses = cursor.fetchone()
        return changed, pending, statuses or 0
