"""The installation that is moved from: read only, as it is at one moment."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import Connection, IsolationLevel, sql
from psycopg.rows import namedtuple_row

from workflow_manager.sql import MOVING_IN

# What is not moved yet; its rows stay where they are until then. What the listener has is moved by
# its own import.
LEFT_FOR_LATER = (
    "report_statusqueuemessagecount",
    "reduction_reductionproperty",
    "reduction_choice",
    "users_sitenotification",
    "users_developernode",
    "auth_user",
)


class OldInstrument(NamedTuple):
    id: int
    name: str


class OldProposal(NamedTuple):
    id: int
    name: str
    created_on: Any


class OldSystem:
    """One snapshot of the old database: it may go on being written to, we do not see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def instruments(self) -> list[OldInstrument]:
        rows = self._connection.execute("SELECT id, name FROM report_instrument ORDER BY id")
        return [OldInstrument(*row) for row in rows]

    def proposals(self) -> list[OldProposal]:
        rows = self._connection.execute("SELECT id, expt_name, created_on FROM report_ipts")
        return [OldProposal(*row) for row in rows]

    def runs(self) -> Iterator[memoryview]:
        """All runs with their summaries, as COPY writes them."""
        return self._copied(MOVING_IN["runs_there"], {})

    def statuses(self, source_runs: Sequence[int]) -> Iterator[memoryview]:
        """The history of some runs, as COPY writes it."""
        return self._copied(MOVING_IN["statuses_there"], {"source_runs": list(source_runs)})

    def tasks(self) -> Iterator[memoryview]:
        """All tasks with the names of their queues, as COPY writes them."""
        return self._copied(MOVING_IN["tasks_there"], {})

    def queues(self) -> Iterator[memoryview]:
        """All queues, as COPY writes them."""
        return self._copied(MOVING_IN["queues_there"], {})

    def months(self) -> list[dt.date]:
        """The first days of the months in which something happened."""
        return [day for (day,) in self._connection.execute(MOVING_IN["months_there"])]

    def counts(self) -> Any:
        """Rows in each table that is moved, by the names in `counts_there`."""
        with self._connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(MOVING_IN["counts_there"]).fetchone()

    def left_for_later(self) -> dict[str, int]:
        """Rows in tables that are not moved, where the tables exist."""
        return {name: self._count(name) for name in LEFT_FOR_LATER if self._exists(name)}

    def _copied(self, statement: str, values: dict[str, Any]) -> Iterator[memoryview]:
        with (
            self._connection.cursor() as cursor,
            cursor.copy(cast("Any", statement), values or None) as copy,
        ):
            yield from copy  # type: ignore[misc]

    def _exists(self, table: str) -> bool:
        found = self._connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
        return bool(found and found[0])

    def _count(self, table: str) -> int:
        statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        found = self._connection.execute(statement).fetchone()
        return int(found[0]) if found else 0


@contextmanager
def opened(address: str) -> Iterator[OldSystem]:
    """Connect to the old database; nothing is ever written there.

    Raises:
        psycopg.OperationalError: it cannot be reached.
    """
    with psycopg.connect(address, connect_timeout=10, application_name="webmon import") as link:
        link.isolation_level = IsolationLevel.REPEATABLE_READ
        link.read_only = True
        yield OldSystem(link)
