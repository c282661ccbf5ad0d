"""Fills a database with what a facility has after years: runs, their jobs, their events."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

from workflow_manager.event_partitions import Month

INSTRUMENTS = 40
SECONDS_BETWEEN_RUNS = timedelta(seconds=90)

# One run every 90 s at the facility, ten events of each; most are done, some are not.
_INSTRUMENTS = """
INSERT INTO workflow_instrument (name, facility)
SELECT 'bench' || lpad(n::text, 2, '0'), 'SNS' FROM generate_series(1, %(instruments)s) n
ON CONFLICT DO NOTHING
"""
_PROPOSALS = """
INSERT INTO workflow_proposal (name) SELECT 'IPTS-' || n FROM generate_series(1, 500) n
ON CONFLICT DO NOTHING
"""
_RUNS = """
INSERT INTO workflow_run (instrument_id, proposal_id, number, data_file, created_at, data_ready_at,
                          cataloguing, reduction, reduction_cataloguing)
SELECT i.id, p.id, 1 + n / %(instruments)s, '/SNS/' || upper(i.name) || '/nexus/' || n, at.at,
       CASE WHEN kind.acquires THEN NULL ELSE at.at END,
       CASE WHEN kind.acquires THEN 0 ELSE 5 END,
       CASE WHEN kind.acquires THEN 0 WHEN kind.fails THEN 3 WHEN n %% 50 = 1 THEN 4 ELSE 5 END,
       CASE WHEN kind.acquires OR kind.fails OR n %% 50 = 1 THEN 0 ELSE 5 END
  FROM generate_series(0, %(runs)s - 1) n
  CROSS JOIN LATERAL (SELECT now() - (%(runs)s - n) * interval '90 seconds' AS at) at
  CROSS JOIN LATERAL (SELECT n > %(runs)s - 20 AS acquires, n %% 400 = 7 AS fails) kind
  JOIN workflow_instrument i ON i.name = 'bench' || lpad((1 + n %% %(instruments)s)::text, 2, '0')
  JOIN workflow_proposal p ON p.name = 'IPTS-' || (1 + n %% 500)
"""
_JOBS = """
INSERT INTO workflow_job (run_id, instrument_id, step, attempt, queue, phase, requested_by,
                          requested_at, sent_at, started_at, ended_at, agent, error)
SELECT r.id, r.instrument_id, step.name, 1, '/queue/REDUCTION.DATA_READY', step.phase, '',
       r.created_at, r.created_at, r.created_at + interval '1 second',
       r.created_at + interval '9 seconds', 'autoreducer3',
       CASE WHEN step.phase = 3 THEN 'REDUCTION: vanadium is missing' ELSE '' END
  FROM workflow_run r
  CROSS JOIN LATERAL (VALUES ('cataloguing', r.cataloguing), ('reduction', r.reduction),
                             ('reduction_cataloguing', r.reduction_cataloguing)) step (name, phase)
 WHERE step.phase > 0 AND r.id > %(before)s
"""
_EVENTS = """
INSERT INTO workflow_event (run_id, queue, message_id, received_at, information, error, body)
SELECT r.id, 'REDUCTION.STARTED', 'ID:bench-' || r.id || '-' || n, r.created_at, 'autoreducer3', '',
       jsonb_build_object('run_number', r.number, 'data_file', r.data_file)
  FROM workflow_run r CROSS JOIN generate_series(1, 10) n WHERE r.id > %(before)s
"""


_TABLES = ["workflow_run", "workflow_job", "workflow_event"]
_CONSTRAINTS = """
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s',
           conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE contype = 'u' AND conrelid = ANY(%(tables)s::regclass[])
"""
# The definition of an index on a partitioned table says that it is on the parent only.
_INDEXES = """
SELECT format('DROP INDEX %%s', indexrelid::regclass),
    replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
FROM pg_index WHERE indrelid = ANY(%(tables)s::regclass[]) AND NOT indisprimary
    AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype = 'u')
"""


def fill(address: str, runs: int) -> None:
    """Add `runs` runs and let PostgreSQL look at its tables."""
    with psycopg.connect(address, autocommit=True) as connection:
        # What is written here refers to what is there; asking for each row takes half the time.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '256MB'")
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM workflow_run").fetchone()
        assert newest is not None
        values = {"instruments": INSTRUMENTS, "runs": runs, "before": newest[0]}
        cursor = psycopg.ClientCursor(connection)
        _provide_months(cursor, runs)
        with _without_indexes(cursor):
            for statement in (_INSTRUMENTS, _PROPOSALS, _RUNS, _JOBS, _EVENTS):
                cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")


def _provide_months(cursor: psycopg.ClientCursor, runs: int) -> None:
    """As moving in does: a manager that starts moves what lies in the default partition."""
    now = datetime.now(UTC)
    month = Month.of(now - runs * SECONDS_BETWEEN_RUNS)
    while month <= Month.of(now):
        make = sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF workflow_event FOR VALUES FROM ({}) TO ({})"
        )
        begin, end = sql.Literal(month.begin), sql.Literal(month.after(1).begin)
        cursor.execute(make.format(sql.Identifier(month.partition), begin, end))
        month = month.after(1)


@contextmanager
def _without_indexes(cursor: psycopg.ClientCursor) -> Iterator[None]:
    """Indexes are made at the end: row by row, millions of rows take several times as long."""
    changes: list[tuple[str, str]] = []
    for question in (_CONSTRAINTS, _INDEXES):
        changes += cursor.execute(question, {"tables": _TABLES}).fetchall()
    for drop, _ in changes:
        cursor.execute(drop)
    yield
    for _, make in changes:
        cursor.execute(make)
