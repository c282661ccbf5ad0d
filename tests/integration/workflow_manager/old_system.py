"""A database of the system that WebMon replaces, for tests and measurements."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_HERE = Path(__file__).parent
START = dt.datetime(2025, 3, 1, 12, 0, tzinfo=dt.UTC)


class OldDatabase:
    """The old tables, with short ways to put rows into them."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.link = psycopg.connect(address, autocommit=True)
        self._at = START

    def clear(self) -> None:
        """No rows but the usual queues, and numbers from 1."""
        self._at = START
        self.link.execute(
            "TRUNCATE report_instrument, report_ipts RESTART IDENTITY CASCADE;"
            "DELETE FROM report_statusqueue WHERE id > 27"
        )

    def fill(self, runs: int) -> None:
        """Runs with ten statuses each."""
        statements = (_HERE / "many_runs.sql").read_text(encoding="utf-8")
        psycopg.ClientCursor(self.link).execute(statements, {"runs": runs})

    def instrument(self, name: str) -> int:
        return self._add("report_instrument", name=name)

    def proposal(self, name: str) -> int:
        return self._add("report_ipts", expt_name=name, created_on=START)

    def run(self, instrument: int, number: int, proposal: int, **values: Any) -> int:
        return self._add(
            "report_datarun",
            run_number=number,
            instrument_id_id=instrument,
            ipts_id_id=proposal,
            **{"file": "", "created_on": START} | values,
        )

    def status(
        self,
        run: int,
        queue: str,
        message_id: str | None = "",
        at: dt.datetime | None = None,
        **texts: str | None,
    ) -> int:
        """A status, one second after the last unless told; texts are `information`, `error`."""
        self._at += dt.timedelta(seconds=1)
        status = self._add(
            "report_runstatus",
            run_id_id=run,
            queue_id_id=self.queue(queue),
            message_id=message_id,
            created_on=at or self._at,
        )
        for table, text in texts.items():
            self._add(f"report_{table}", description=text, run_status_id_id=status)
        return status

    def summary(self, run: int, **flags: bool) -> None:
        names = (
            *("complete", "catalog_started", "cataloged", "reduction_started", "reduced"),
            *("reduction_cataloged", "reduction_catalog_started"),
        )
        values = dict.fromkeys(names, False) | {"reduction_needed": True} | flags
        self._add("report_workflowsummary", run_id_id=run, **values)

    def task(
        self,
        instrument: int,
        queue: str,
        targets: Sequence[str] = (),
        success: Sequence[str] = (),
        *,
        task_class: str | None = None,
    ) -> int:
        """Where runs of an instrument go after a message on a queue."""
        task = self._add(
            "report_task",
            task_class=task_class,
            input_queue_id_id=self.queue(queue),
            instrument_id_id=instrument,
        )
        for table, names in (("task", targets), ("success", success)):
            for name in names:
                self._add(
                    f"report_task_{table}_queue_ids", task_id=task, statusqueue_id=self.queue(name)
                )
        return task

    def close(self) -> None:
        self.link.close()

    def queue(self, name: str, *, is_workflow_input: bool = False) -> int:
        """The number of a queue; one that is unknown becomes known."""
        found = self.link.execute("SELECT id FROM report_statusqueue WHERE name = %s", [name])
        row = found.fetchone()
        if row:
            return int(row[0])
        return self._add("report_statusqueue", name=name, is_workflow_input=is_workflow_input)

    def _add(self, table: str, **values: Any) -> int:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        row = self.link.execute(statement, list(values.values())).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def old_database(server: Mapping[str, Any], name: str) -> Iterator[OldDatabase]:
    """A fresh database on the same server, dropped afterwards."""
    address = psycopg.conninfo.make_conninfo(**server)
    with psycopg.connect(address, dbname="postgres", autocommit=True) as link:
        identifier = sql.Identifier(name)
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
        link.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        try:
            old = OldDatabase(psycopg.conninfo.make_conninfo(**{**server, "dbname": name}))
            schema = (_HERE / "legacy_schema.sql").read_text(encoding="utf-8")
            old.link.execute(schema)
            try:
                yield old
            finally:
                old.close()
        finally:
            link.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
