"""The temporary tables: filled from the old system and from the workflow's rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.backends.utils import CursorWrapper

from workflow_manager.domain.rules import INPUT_QUEUES, JOB_QUEUES, RULES
from workflow_manager.moving_in.names import (
    CENTRAL_SERVICES,
    INSTRUMENT,
    PROPOSAL,
    names_here,
)
from workflow_manager.moving_in.old_system import OldSystem
from workflow_manager.sql import MOVING_IN

# Agents of long ago took jobs from this queue; nobody sends there, but every installation has it.
_LEGACY_CATALOG_JOBS = "CATALOG.DATA_READY"
# Whose routes an import may change: its own. And the queues that need no row in the database.
ROUTE_VALUES: Mapping[str, Any] = {
    "import": "import_webmon",
    "known": sorted({*RULES, *JOB_QUEUES, *INPUT_QUEUES, _LEGACY_CATALOG_JOBS}),
}


def stage(cursor: CursorWrapper, there: OldSystem) -> dict[str, str]:
    """Bring over everything but the history; return the names that had to change."""
    cursor.execute(MOVING_IN["stage"])
    _copy_rows(cursor, "queue_rule", _queue_rules())
    copy_blocks(cursor, "old_run", there.runs())
    cursor.execute("ANALYZE old_run")
    changed = _stage_instruments(cursor, there) | _stage_proposals(cursor, there)
    _move_routes(cursor, there)
    cursor.execute(MOVING_IN["group_runs"])
    cursor.execute("CREATE INDEX ON run_group (leader)")
    cursor.execute("ANALYZE run_group")
    return changed


def copy_blocks(cursor: CursorWrapper, table: str, blocks: Iterable[memoryview]) -> None:
    """Put what COPY wrote there into a temporary table here, unread."""
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for block in blocks:
            copy.write(block)


def _copy_rows(cursor: CursorWrapper, table: str, rows: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _queue_rules() -> Iterator[Sequence[Any]]:
    for queue, rule in RULES.items():
        then = [JOB_QUEUES[name].value for name in rule.then]
        yield queue, None, rule.step, rule.phase.value if rule.phase else None, then
    for queue, asked in JOB_QUEUES.items():
        yield queue, asked.value, None, None, []


def _stage_instruments(cursor: CursorWrapper, there: OldSystem) -> dict[str, str]:
    names = {row.id: row.name for row in there.instruments()}
    here: dict[int, str | None] = dict(names_here(names, INSTRUMENT))
    cursor.execute("SELECT DISTINCT instrument_id FROM old_run")
    with_runs = {number for (number,) in cursor.fetchall()}
    for number, name in here.items():
        if name == CENTRAL_SERVICES and number not in with_runs:
            here[number] = None
    _copy_rows(
        cursor, "old_instrument", ((number, name, None, None) for number, name in here.items())
    )
    cursor.execute(MOVING_IN["add_instruments"])
    cursor.execute(MOVING_IN["find_instruments"])
    return _changed(names, here)


def _stage_proposals(cursor: CursorWrapper, there: OldSystem) -> dict[str, str]:
    rows = there.proposals()
    names = {row.id: row.name for row in rows}
    here = names_here(names, PROPOSAL)
    staged = ((row.id, here[row.id], row.created_on, None) for row in rows)
    _copy_rows(cursor, "old_proposal", staged)
    cursor.execute(MOVING_IN["add_proposals"])
    cursor.execute(MOVING_IN["find_proposals"])
    return _changed(names, here)


def _move_routes(cursor: CursorWrapper, there: OldSystem) -> None:
    """Where runs go, and the site's own queues: a few rows, moved at once."""
    copy_blocks(cursor, "old_queue", there.queues())
    copy_blocks(cursor, "old_task", there.tasks())
    for name in ("add_queues", "find_routes", "take_back_routes", "put_routes"):
        cursor.execute(MOVING_IN[name], ROUTE_VALUES)


def _changed(names: Mapping[int, str], here: Mapping[int, str | None]) -> dict[str, str]:
    """What people will look for under another name; the case alone does not matter."""
    return {
        text: name
        for number, text in names.items()
        if (name := here[number]) is not None and name.lower() != text.lower()
    }
