"""The whole move: names, then history, then the counts that must agree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from workflow_manager import event_partitions
from workflow_manager.event_partitions import Month
from workflow_manager.moving_in.batches import move_history
from workflow_manager.moving_in.old_system import OldSystem
from workflow_manager.moving_in.report import Report, report
from workflow_manager.moving_in.staging import stage
from workflow_manager.sql import MOVING_IN

# Any number that nobody else uses; PostgreSQL frees the lock when the session ends.
LOCK = 0x77656269


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
        if pending:
            event_partitions.provide([Month.of(day) for day in there.months()])
        runs = read = 0
        for moved in move_history(there, runs_at_once):
            runs += moved.runs
            read += moved.statuses
            tell(f"{runs} of {pending} runs, {read} statuses")
        return report(there, changed)


@contextmanager
def _alone() -> Iterator[None]:
    _lock()
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _lock() -> None:
    """One that was killed needs a moment until its server process notices."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    except OperationalError as error:
        raise MovingInError(
            f"Another import into this database is going on, or was killed just now: {error}"
        ) from error


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
