"""A database with a history becomes one with partitions, and so does an empty one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from psycopg import sql

ROOT = Path(__file__).parents[3]
NAME = "webmon_test_event_migration"
HISTORY = """
INSERT INTO workflow_instrument (id, name) VALUES (1, 'arcs');
INSERT INTO workflow_proposal (id, name) VALUES (1, 'IPTS-1');
INSERT INTO workflow_run (id, instrument_id, number, proposal_id, created_at, updated_at)
SELECT n, 1, n, 1, timestamptz '2024-01-31 20:00-05' + n * interval '20 days', '2026-11-01Z'
FROM generate_series(1, 30) AS n;
INSERT INTO workflow_event (run_id, queue, message_id, received_at, error, body)
SELECT id, 'REDUCTION.STARTED', 'm' || id, created_at + step * interval '3 days', 'e' || step,
    jsonb_build_object('run_number', number)
FROM workflow_run, generate_series(-1, 1) AS step
WHERE step > -1 OR id % 2 = 0
ON CONFLICT DO NOTHING;
INSERT INTO workflow_event (run_id, queue, message_id, received_at, error, body)
SELECT id, 'SITE.SPECIAL', 'late', '2026-11-21Z', '', '{}' FROM workflow_run WHERE id = 7;
"""
# As an installation has it that was made before: a view that uses the table, and an index.
EARLIER_VIEWS = """
CREATE SCHEMA legacy;
CREATE VIEW legacy.report_error AS SELECT id, error FROM workflow_event;
"""
ROWS = (
    "SELECT id, run_id, job_id, received_at, sent_at, queue, message_id, information, error, body"
    " FROM workflow_event ORDER BY id"
)


@pytest.fixture
def database(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """A connection to a database of its own; nothing is in it."""
    parameters = connection.get_connection_params()
    server = {name: parameters[name] for name in ("host", "port", "user", "password")}
    name = sql.Identifier(NAME)
    with psycopg.connect(**server, dbname="postgres", autocommit=True) as link:
        link.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        link.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            with psycopg.connect(**server, dbname=NAME, autocommit=True) as own:
                yield own
        finally:
            link.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def migrate(*target: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0", *target],
        cwd=ROOT,
        env=os.environ | {"DATABASE_NAME": NAME},
        check=True,
    )


def test_a_history_is_moved_whole_into_its_months(database: psycopg.Connection) -> None:
    migrate("workflow_manager", "0003")
    database.execute(HISTORY)
    database.execute(EARLIER_VIEWS)
    before = database.execute(ROWS).fetchall()
    assert len(before) > 30
    migrate()
    assert database.execute(ROWS).fetchall() == before
    misplaced = database.execute(
        "SELECT tableoid::regclass::text, received_at FROM workflow_event WHERE"
        " tableoid::regclass::text <>"
        " 'workflow_event_' || to_char(received_at AT TIME ZONE 'UTC', 'YYYY_MM')"
    ).fetchall()
    assert not misplaced
    assert database.execute("SELECT to_regclass('workflow_event_before')").fetchone() == (None,)
    # New numbers go on after the old ones.
    new = database.execute(
        "INSERT INTO workflow_event (run_id, queue, message_id, body)"
        " VALUES (1, 'Q', 'new', '{}') RETURNING id, tableoid::regclass::text"
    ).fetchone()
    assert new is not None
    assert new[0] == before[-1][0] + 1
    assert new[1] != "workflow_event_default"


def test_runs_tell_where_their_events_are_and_the_views_show_them(
    database: psycopg.Connection,
) -> None:
    migrate("workflow_manager", "0003")
    database.execute(HISTORY)
    migrate()
    outside = database.execute(
        "SELECT run.id FROM workflow_event AS event JOIN workflow_run AS run ON run.id = run_id"
        " WHERE received_at < run.created_at - interval '1 day'"
        " OR received_at > run.updated_at + interval '1 day'"
    ).fetchall()
    assert not outside
    shown = database.execute("SELECT count(*) FROM legacy.report_error").fetchone()
    there = database.execute("SELECT count(*) FROM workflow_event WHERE error <> ''").fetchone()
    assert shown == there
    queues = database.execute("SELECT name FROM legacy.report_statusqueue").fetchall()
    assert ("SITE.SPECIAL",) in queues


def test_an_empty_database_gets_partitions_and_takes_events(database: psycopg.Connection) -> None:
    migrate()
    partitions = database.execute(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'workflow_event'::regclass"
    ).fetchone()
    assert partitions == (5,)
    assert database.execute("SELECT count(*) FROM legacy.report_runstatus").fetchone() == (0,)
