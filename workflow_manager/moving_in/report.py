"""What the move brought, counted on both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from workflow_manager.domain.rules import JOB_QUEUES, RULES
from workflow_manager.domain.steps import Phase
from workflow_manager.moving_in.old_system import OldSystem
from workflow_manager.moving_in.staging import ROUTE_VALUES
from workflow_manager.sql import MOVING_IN

# Lists of names in the report end here; the count before them is complete.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TableCount:
    """One old table: its rows must be `here`, or for a reason be part of another row.

    `merged` rows are the same thing as another row of the table; `recorded` ones are here without
    the move: the new system knew or heard them, or people set them here. `why` explains what is
    missing, if something is.
    """

    table: str
    there: int
    here: int
    merged: int = 0
    recorded: int = 0
    why: str = ""

    @property
    def missing(self) -> int:
        return self.there - self.here - self.merged - self.recorded

    @property
    def agrees(self) -> bool:
        return self.missing == 0


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of all tables that were moved, and what a person wants to know beside them."""

    tables: Sequence[TableCount]
    notes: Sequence[str]

    @property
    def agrees(self) -> bool:
        return all(table.agrees for table in self.tables)

    def lines(self) -> list[str]:
        head = f"{'table':26}{'there':>12}{'here':>12}{'merged':>9}{'recorded':>10}{'missing':>9}"
        rows = [
            f"{count.table:26}{count.there:>12}{count.here:>12}{count.merged:>9}"
            f"{count.recorded:>10}{count.missing:>9}{'' if count.agrees else '  ' + count.why}"
            for count in self.tables
        ]
        return [head, *rows, "", *self.notes]


def report(there: OldSystem, changed_names: Mapping[str, str]) -> Report:
    """Count on both sides; the temporary tables of the move must still be there."""
    old = there.counts()
    with connection.cursor() as cursor:
        notes = _one(cursor, "notes", {phase.word: phase.value for phase in Phase})
        merged = _rows(cursor, "merged_runs")
        tables = [
            *_names(cursor, old),
            *_routes(cursor, old),
            *_history(cursor, old, notes, merged),
        ]
        unknown = _rows(cursor, "unknown_queues", {"known": [*RULES, *JOB_QUEUES]})
        classes = _rows(cursor, "task_classes")
        shared = _rows(cursor, "shared_queues")
    return Report(
        tables,
        [
            *_told(notes, old),
            *_listed("Runs that were there more than once", map(_merged_run, merged)),
            *_listed("Names that had to change", _arrows(changed_names)),
            *_listed("Queues without a rule, recorded only", (f"{q} ({n})" for q, n in unknown)),
            *_listed(
                "Task classes, kept but not run by WebMon, which sends overdue steps again itself",
                (f"{instrument} {queue}: {name}" for instrument, queue, name in classes),
            ),
            *_listed(
                "Queues with several tasks, which had no effect there and are not copied",
                (f"{instrument} {queue} ({number})" for instrument, queue, number in shared),
            ),
            *_listed(
                "Rows left for later",
                (f"{t} ({n})" for t, n in there.left_for_later().items() if n),
            ),
        ],
    )


def _names(cursor: CursorWrapper, old: Any) -> list[TableCount]:
    here = _one(cursor, "names_here")
    aside = here["instruments_aside"]
    return [
        TableCount(
            "report_instrument",
            old.instruments - aside,
            here["instruments"],
            merged=old.instruments - aside - here["instrument_names"],
            why="instruments were added or renamed while the move went on",
        ),
        TableCount(
            "report_ipts",
            old.proposals,
            here["proposals"],
            merged=old.proposals - here["proposal_names"],
            why="proposals were added or renamed while the move went on",
        ),
    ]


def _routes(cursor: CursorWrapper, old: Any) -> list[TableCount]:
    """Tasks of central services and those without effect there are not counted."""
    routes = _one(cursor, "routes_here", ROUTE_VALUES)
    queues = _one(cursor, "queues_here", ROUTE_VALUES)
    return [
        TableCount(
            "report_statusqueue",
            old.queues,
            queues["moved"],
            merged=old.queues - queues["names"],
            recorded=queues["known"],
            why="queues were removed here while the move went on",
        ),
        TableCount(
            "report_task",
            old.tasks - routes["shared"] - routes["aside"],
            routes["moved"],
            recorded=routes["changed"],
            why="routes were removed here while the move went on",
        ),
    ]


def _history(
    cursor: CursorWrapper, old: Any, notes: Mapping[str, int], merged: Sequence[Sequence[Any]]
) -> list[TableCount]:
    events, runs = _one(cursor, "events_here"), _one(cursor, "runs_here")
    impossible = f"{notes['impossible_runs']} runs there have a negative number"
    twice = sum(len(source_ids) - 1 for *_, source_ids in merged)
    return [
        TableCount("report_datarun", old.runs, runs["runs"], merged=twice, why=impossible),
        TableCount(
            "report_runstatus",
            old.statuses,
            events["statuses"],
            recorded=runs["statuses"],
            why=f"{notes['impossible_statuses']} statuses belong to runs with negative numbers",
        ),
        *(
            TableCount(
                f"report_{name}",
                rows,
                events[f"with_{column}"],
                merged=rows - distinct,
                recorded=runs[f"with_{column}"],
                why="texts of statuses that are missing",
            )
            for name, column, rows, distinct in (
                ("information", "information", old.information, old.with_information),
                ("error", "error", old.errors, old.with_error),
            )
        ),
        TableCount(
            "report_workflowsummary",
            old.summaries,
            notes["summaries"],
            why="summaries of no run",
        ),
    ]


def _told(notes: Mapping[str, int], old: Any) -> list[str]:
    return [
        f"{notes['without_summary']} runs had no summary; their steps come from the history.",
        f"{notes['no_longer_complete']} runs were complete there and are not here: the newest "
        "attempt counts here, the first success counted there.",
        f"{notes['open_jobs']} attempts never ended there and stand open here.",
        f"{old.links} links of proposals to instruments are not copied; they follow from runs.",
        "A text that is empty or one of several of a status counts as merged.",
    ]


def _merged_run(row: Sequence[Any]) -> str:
    instrument, number, source_ids = row
    return f"{instrument} {number} (rows {', '.join(map(str, source_ids))})"


def _arrows(changed: Mapping[str, str]) -> list[str]:
    return [f"{old!r} → {new}" for old, new in sorted(changed.items())]


def _listed(title: str, items: Any) -> list[str]:
    found = list(items)
    if not found:
        return []
    more = [f"  … and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [f"{title}: {len(found)}", *(f"  {item}" for item in found[:_SHOWN]), *more]


def _rows(
    cursor: CursorWrapper, name: str, values: Mapping[str, Any] | None = None
) -> list[Sequence[Any]]:
    cursor.execute(MOVING_IN[name], values)
    return list(cursor.fetchall())


def _one(
    cursor: CursorWrapper, name: str, values: Mapping[str, Any] | None = None
) -> dict[str, int]:
    (row,) = _rows(cursor, name, values)
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
