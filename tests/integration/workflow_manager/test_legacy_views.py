"""SQL that was written for the old tables gives the old answers on the views."""

import json
import random
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase
from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager import event_partitions
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES, JOB_QUEUES, RULES
from workflow_manager.event_partitions import Month
from workflow_manager.models import Queue

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]
HISTORY = """
SELECT i.name, p.expt_name, r.run_number, r.file, r.created_on, q.name, q.is_workflow_input,
    s.message_id, s.created_on, n.description, e.description
FROM report_runstatus s
JOIN report_datarun r ON r.id = s.run_id_id
JOIN report_instrument i ON i.id = r.instrument_id_id
JOIN report_ipts p ON p.id = r.ipts_id_id
JOIN report_statusqueue q ON q.id = s.queue_id_id
LEFT JOIN report_information n ON n.run_status_id_id = s.id
LEFT JOIN report_error e ON e.run_status_id_id = s.id
ORDER BY i.name, r.run_number, s.created_on, s.id
"""
SUMMARIES = """
SELECT i.name, r.run_number, w.complete, w.catalog_started, w.cataloged, w.reduction_needed,
    w.reduction_started, w.reduced, w.reduction_cataloged, w.reduction_catalog_started
FROM report_workflowsummary w
JOIN report_datarun r ON r.id = w.run_id_id JOIN report_instrument i ON i.id = r.instrument_id_id
ORDER BY i.name, r.run_number
"""
# What the old pages show: acquiring, complete, error, incomplete.
DISPLAYED = """
SELECT r.run_number, CASE
    WHEN NOT EXISTS (
        SELECT 1 FROM report_runstatus s JOIN report_statusqueue q ON q.id = s.queue_id_id
        WHERE s.run_id_id = r.id AND q.name = 'POSTPROCESS.DATA_READY') THEN 'acquiring'
    WHEN w.complete THEN 'complete'
    WHEN EXISTS (
        SELECT 1 FROM report_error e JOIN report_runstatus s ON s.id = e.run_status_id_id
        WHERE s.run_id_id = r.id) THEN 'error'
    ELSE 'incomplete' END
FROM report_datarun r JOIN report_workflowsummary w ON w.run_id_id = r.id
ORDER BY r.run_number
"""
LINKS = """
SELECT p.expt_name, i.name FROM report_ipts_instruments m
JOIN report_ipts p ON p.id = m.ipts_id JOIN report_instrument i ON i.id = m.instrument_id
ORDER BY 1, 2
"""
LAST_RUNS = """
SELECT i.name, r.run_number FROM report_instrumentstatus s
JOIN report_instrument i ON i.id = s.instrument_id_id
JOIN report_datarun r ON r.id = s.last_run_id_id ORDER BY 1
"""
ONE_RUN = """
SELECT s.created_on, s.queue_id_id FROM report_runstatus s
JOIN report_datarun r ON r.id = s.run_id_id
JOIN report_instrument i ON i.id = r.instrument_id_id
WHERE i.name = 'arcs' AND r.run_number = 5000 ORDER BY s.created_on
"""


def ask(statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a script sees whose search path is the schema of the views."""
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = legacy, public")
        try:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
        finally:
            cursor.execute("RESET search_path")


def flags(queues: Sequence[str]) -> dict[str, bool]:
    """The summary that the old system makes of all messages of a run."""
    had = set(queues)
    found = {
        "cataloged": names.CATALOG_COMPLETE in had,
        "catalog_started": names.CATALOG_STARTED in had,
        "reduction_needed": not {names.REDUCTION_NOT_NEEDED, names.REDUCTION_DISABLED} & had,
        "reduced": names.REDUCTION_COMPLETE in had,
        "reduction_started": names.REDUCTION_STARTED in had,
        "reduction_cataloged": names.REDUCTION_CATALOG_COMPLETE in had,
        "reduction_catalog_started": names.REDUCTION_CATALOG_STARTED in had,
    }
    results = not found["reduction_needed"] or (found["reduced"] and found["reduction_cataloged"])
    return found | {"complete": found["cataloged"] and results}


def an_old_installation(old: OldDatabase) -> None:
    """Random histories at two instruments, each with the summary it would have."""
    chance = random.Random(7)  # noqa: S311 - not a secret
    for name in INPUT_QUEUES:
        old.queue(name, is_workflow_input=True)
    instruments = [old.instrument(name) for name in ("arcs", "hysa")]
    proposals = [old.proposal(f"IPTS-{number}") for number in range(3)]
    seen = set()
    with old.link.transaction():
        for number in range(60):
            pair = (chance.choice(proposals), chance.choice(instruments))
            seen.add(pair)
            run = old.run(pair[1], number, pair[0], file=f"/SNS/X/{number}", created_on=at(number))
            queues = chance.choices([*RULES, *JOB_QUEUES, "SITE.SPECIAL.COMPLETE"], k=number % 13)
            for queue in queues:
                old.status(run, queue, chance.choice(("", f"ID:{number}")), None, **texts(chance))
            old.summary(run, **flags(queues))
        remember(old, seen)


def at(number: int) -> str:
    return f"2025-02-01T00:{number:02}:00Z"


def texts(chance: random.Random) -> dict[str, str]:
    found = {"information": "autoreducer4.sns.gov", "error": "x" * 198 + ".."}
    return {name: text for name, text in found.items() if chance.random() < 0.4}


def remember(old: OldDatabase, pairs: set[tuple[int, int]]) -> None:
    """What the old system keeps beside the runs."""
    for proposal, instrument in pairs:
        old.link.execute(
            "INSERT INTO report_ipts_instruments (ipts_id, instrument_id) VALUES (%s, %s)",
            [proposal, instrument],
        )
    old.link.execute(
        "INSERT INTO report_instrumentstatus (instrument_id_id, last_run_id_id)"
        " SELECT DISTINCT ON (instrument_id_id) instrument_id_id, id FROM report_datarun"
        " ORDER BY instrument_id_id, id DESC"
    )


def test_old_sql_gives_the_same_rows_there_and_here(old: OldDatabase) -> None:
    an_old_installation(old)
    call_command("import_webmon", address=old.address, stdout=StringIO())
    for statement in (HISTORY, SUMMARIES, DISPLAYED, LINKS, LAST_RUNS):
        there = old.link.execute(statement).fetchall()
        # The second row with a broker's number of the same queue has ours, which is shown as none.
        assert blank_repeats(ask(statement)) == blank_repeats(there), statement
        assert there


def blank_repeats(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Without broker's numbers: which row of several keeps it is not the old system's business."""
    return [tuple("" if str(cell).startswith("ID:") else cell for cell in row) for row in rows]


def test_flags_of_live_messages_are_those_of_the_old_system() -> None:
    chance = random.Random(3)  # noqa: S311 - not a secret
    for number in range(40):
        queues = chance.choices(INPUT_QUEUES, k=chance.randrange(1, 9))
        take_in(
            *(arrival(queue, f"{number} {n}", run_number=number) for n, queue in enumerate(queues))
        )
        wanted = flags(queues)
        columns = ", ".join(wanted)
        row = ask(
            f"SELECT {columns} FROM report_workflowsummary w"  # noqa: S608 - names from above
            " JOIN report_datarun r ON r.id = w.run_id_id WHERE r.run_number = %s",
            [number],
        )
        assert dict(zip(wanted, row[0], strict=True)) == wanted, queues


def test_a_failure_after_success_does_not_take_the_flags_back() -> None:
    ready = ("POSTPROCESS.DATA_READY", "REDUCTION.STARTED", "REDUCTION.COMPLETE")
    for number, queue in enumerate((*ready, "REDUCTION.REQUEST", "REDUCTION.ERROR")):
        take_in(arrival(queue, f"m{number}"))
    assert ask("SELECT reduced, complete FROM report_workflowsummary") == [(True, False)]


def test_is_complete_sets_the_flag_until_the_next_message() -> None:
    take_in(arrival("POSTPROCESS.INFO", "m1", is_complete="true"))
    assert ask("SELECT complete FROM report_workflowsummary") == [(True,)]
    take_in(arrival("POSTPROCESS.INFO", "m2"))
    assert ask("SELECT complete FROM report_workflowsummary") == [(False,)]


def test_a_run_that_succeeds_has_its_ten_rows() -> None:
    reports = [
        f"{step}.{phase}"
        for step in ("CATALOG.ONCAT", "REDUCTION", "REDUCTION_CATALOG")
        for phase in ("STARTED", "COMPLETE")
    ]
    for number, queue in enumerate(("POSTPROCESS.DATA_READY", *reports)):
        take_in(arrival(queue, f"m{number}"))
    assert len(ask("SELECT * FROM report_runstatus")) == 10
    assert ask("SELECT complete FROM report_workflowsummary") == [(True,)]


def test_long_texts_are_cut_as_they_were_and_kept_whole_in_ours() -> None:
    take_in(arrival("REDUCTION.ERROR", "m1", error="x" * 300, information="y" * 200))
    assert ask("SELECT description FROM report_error") == [("x" * 198 + "..",)]
    assert ask("SELECT description FROM report_information") == [("y" * 200,)]


def test_every_queue_has_the_number_it_had(old: OldDatabase) -> None:
    there = old.link.execute("SELECT * FROM report_statusqueue ORDER BY id").fetchall()
    here = ask("SELECT * FROM report_statusqueue ORDER BY id")
    assert here[: len(there)] == there
    on_the_wire = {*RULES, *JOB_QUEUES} - {names.REDUCTION_CATALOG_REQUEST}
    assert {name for _, name, _ in here} >= on_the_wire


TASKS = """
SELECT i.name, q.name, nullif(btrim(t.task_class), ''), (
    SELECT array_agg(target.name ORDER BY l.id) FROM report_task_task_queue_ids l
    JOIN report_statusqueue target ON target.id = l.statusqueue_id WHERE l.task_id = t.id
), (
    SELECT array_agg(target.name ORDER BY l.id) FROM report_task_success_queue_ids l
    JOIN report_statusqueue target ON target.id = l.statusqueue_id WHERE l.task_id = t.id
)
FROM report_task t
JOIN report_instrument i ON i.id = t.instrument_id_id
JOIN report_statusqueue q ON q.id = t.input_queue_id_id
ORDER BY 1, 2
"""


def test_tasks_are_shown_as_they_were(old: OldDatabase) -> None:
    arcs, hysa = old.instrument("arcs"), old.instrument("hysa")
    old.task(hysa, "POSTPROCESS.CHECK", task_class="workflow_process.WorkflowProcess")
    old.task(
        hysa,
        "POSTPROCESS.DATA_READY",
        ("REDUCTION.DATA_READY", "CATALOG.ONCAT.DATA_READY", "SITE.LOCAL.DATA_READY"),
        ("REDUCTION.COMPLETE", "CATALOG.ONCAT.COMPLETE", "SITE.LOCAL.COMPLETE"),
        task_class=" ",
    )
    old.task(arcs, "REDUCTION.DATA_READY")
    call_command("import_webmon", address=old.address, stdout=StringIO())
    there = old.link.execute(TASKS).fetchall()
    assert len(there) == 3
    assert ask(TASKS) == there
    for table in ("task", "success"):
        numbers = [row[0] for row in ask(f"SELECT id FROM report_task_{table}_queue_ids")]  # noqa: S608
        assert len(set(numbers)) == len(numbers) == 3


def test_queues_of_the_site_are_shown_with_what_is_subscribed_to() -> None:
    Queue.objects.create(name="SITE.LOCAL.COMPLETE")
    Queue.objects.create(name="SITE.LOCAL.DATA_READY", is_workflow_input=False)
    take_in(arrival("SITE.LOCAL.COMPLETE", "m1"), arrival("SITE.HEARD", "m2"))
    shown = ask(
        "SELECT name, is_workflow_input FROM report_statusqueue WHERE name LIKE 'SITE%' ORDER BY 1"
    )
    assert shown == [
        ("SITE.HEARD", False),
        ("SITE.LOCAL.COMPLETE", True),
        ("SITE.LOCAL.DATA_READY", False),
    ]
    inputs = ask("SELECT name FROM report_statusqueue WHERE is_workflow_input")
    assert {name for (name,) in inputs} == {*INPUT_QUEUES, "SITE.LOCAL.COMPLETE"}


def test_columns_are_those_of_the_old_tables(old: OldDatabase) -> None:
    columns = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name LIKE 'report\\_%%'"
        " ORDER BY table_name, ordinal_position"
    )
    with connection.cursor() as cursor:
        cursor.execute(columns, ["legacy"])
        here = cursor.fetchall()
    there = old.link.execute(columns, ["public"]).fetchall()
    views = {table for table, *_ in here}
    assert views == {table for table, *_ in there} - {"report_statusqueuemessagecount"}
    # Numbers of runs fit; those of rows are wider than they were.
    wider = {"integer": "bigint"}
    assert here == [
        (table, name, kind if name == "run_number" else wider.get(kind, kind))
        for table, name, kind in there
        if table in views
    ]


def views() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'legacy' AND viewname ~ '^report_'"
        )
        return [name for (name,) in cursor.fetchall()]


def test_views_refuse_to_be_written() -> None:
    take_in(arrival("REDUCTION.ERROR", "m1", error="x", information="y"))
    assert len(views()) == 13
    for view in views():
        with (
            connection.cursor() as cursor,
            pytest.raises(Exception, match=f"legacy.{view} is a read-only view: INSERT"),
        ):
            cursor.execute(f"INSERT INTO legacy.{view} DEFAULT VALUES")
    with connection.cursor() as cursor, pytest.raises(Exception, match="read-only view: DELETE"):
        cursor.execute("DELETE FROM legacy.report_datarun")


@pytest.fixture
def failing() -> int:
    """The number of an instrument with three failed runs, ninety minutes apart; the last is new.

    Their errors are thirteen hours apart.
    """
    take_in(*(arrival("REDUCTION.ERROR", f"m{n}", run_number=n, error="x") for n in range(3)))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflow_run SET created_at = now() - number * interval '90 minutes'"
        )
        cursor.execute(
            "UPDATE workflow_event SET received_at = now() - interval '13 hours' * run.number"
            " FROM workflow_run AS run WHERE run.id = run_id"
        )
    return int(ask("SELECT id FROM report_instrument")[0][0])


@pytest.fixture
def reader(failing: int) -> Iterator[psycopg.Connection]:
    """A script's own account, with the rights that docs/moving-in.md gives it."""
    page = (ROOT / "docs" / "moving-in.md").read_text(encoding="utf-8")
    rights = page.split("```sql\n")[1].split("```")[0]
    parameters = connection.get_connection_params()
    link = psycopg.connect(
        **{name: parameters[name] for name in ("host", "port", "user", "password", "dbname")}
    )
    link.execute(rights.replace("facility_scripts", "webmon_test_reader"))
    link.execute("SET ROLE webmon_test_reader")
    # A role's own settings take effect when it logs in.
    link.execute("SET search_path = legacy")
    yield link
    # The role was made in this transaction, and goes with it.
    link.rollback()
    link.close()


def rate(reader: psycopg.Connection, function: str, instrument: int) -> list[tuple[Any, ...]]:
    """As the old pages ask: the function gives a cursor, which is read in the same transaction."""
    row = reader.execute(f"SELECT {function}(%s)", [instrument]).fetchone()
    assert row is not None
    return reader.execute(f'FETCH ALL IN "{row[0]}"').fetchall()


def test_rates_of_the_last_day(failing: int, reader: psycopg.Connection) -> None:
    assert rate(reader, "run_rate", failing) == [(0, 1), (-1, 1), (-3, 1)]
    assert rate(reader, "error_rate", failing) == [(0, 1), (-13, 1)]


def test_an_account_for_scripts_reads_views_and_nothing_else(
    failing: int, reader: psycopg.Connection
) -> None:
    assert len(reader.execute(HISTORY).fetchall()) == 3
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM public.workflow_event")


@pytest.fixture
def many_runs() -> None:
    """100 000 runs at four instruments with four events each, in three months."""
    event_partitions.provide([Month(2025, month) for month in (1, 2, 3)])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflow_instrument (id, name) VALUES"
            " (1, 'arcs'), (2, 'hysa'), (3, 'ref_m'), (4, 'ref_l');"
            "INSERT INTO workflow_proposal (id, name) VALUES (1, 'IPTS-1');"
            "INSERT INTO workflow_run (id, instrument_id, number, proposal_id, created_at)"
            " SELECT n, n % 4 + 1, n, 1, timestamptz '2025-01-01' + n * interval '1 min'"
            " FROM generate_series(1, 100000) AS n;"
            "INSERT INTO workflow_event (run_id, queue, message_id, received_at, error, body)"
            " SELECT n, queue, n::text, timestamptz '2025-01-01' + n * interval '1 min',"
            " CASE queue WHEN 'REDUCTION.ERROR' THEN 'boom' ELSE '' END, '{}'"
            " FROM generate_series(1, 100000) AS n, unnest(ARRAY['POSTPROCESS.DATA_READY',"
            " 'CATALOG.ONCAT.COMPLETE', 'REDUCTION.STARTED', 'REDUCTION.ERROR']) AS queue;"
            "ANALYZE workflow_instrument, workflow_run, workflow_event, workflow_proposal"
        )


USUAL = {
    "a run's statuses by its number": "SELECT * FROM report_runstatus WHERE run_id_id = 5000",
    "a run's statuses by instrument and run number": ONE_RUN,
    "a run by instrument and run number": (
        "SELECT * FROM report_datarun WHERE run_number = 5000 AND instrument_id_id = 1"
    ),
    "a run's errors": (
        "SELECT e.description FROM report_error e"
        " JOIN report_runstatus s ON s.id = e.run_status_id_id WHERE s.run_id_id = 5000"
    ),
    "a run's summary": "SELECT * FROM report_workflowsummary WHERE run_id_id = 5000",
    "the newest statuses": "SELECT * FROM report_runstatus ORDER BY created_on DESC LIMIT 50",
    "the newest statuses by number": "SELECT * FROM report_runstatus ORDER BY id DESC LIMIT 50",
    "the newest runs of an instrument": (
        "SELECT * FROM report_datarun WHERE instrument_id_id = 2 ORDER BY created_on DESC LIMIT 20"
    ),
    "the last runs": LAST_RUNS,
    "the queues": "SELECT * FROM report_statusqueue",
    "errors of an hour with their queue": (
        "SELECT q.name, count(*) FROM report_runstatus s"
        " JOIN report_statusqueue q ON q.id = s.queue_id_id"
        " JOIN report_error e ON e.run_status_id_id = s.id"
        " WHERE s.created_on BETWEEN '2025-02-01 00:00Z' AND '2025-02-01 01:00Z' GROUP BY 1"
    ),
}


def scanned(plan: dict[str, Any]) -> set[str]:
    """The tables, or months of events, that were read from end to end and were not empty."""
    read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    here = {plan["Relation Name"]} if plan["Node Type"].endswith("Seq Scan") and read else set()
    return here.union(*(scanned(part) for part in plan.get("Plans", [])))


def is_large(table: str) -> bool:
    return table == "workflow_run" or table.startswith("workflow_event")


def test_usual_queries_read_only_what_they_show(many_runs: None) -> None:
    for what, statement in USUAL.items():
        ((plan,),) = ask(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
        plan = json.loads(plan) if isinstance(plan, str) else plan
        assert not any(map(is_large, scanned(plan[0]["Plan"]))), (what, plan)
