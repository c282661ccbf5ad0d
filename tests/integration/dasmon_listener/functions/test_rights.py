"""Who may call the functions, and what else they may not."""

import psycopg
import pytest
from psycopg import sql

from tests.integration.dasmon_listener.functions.conftest import Link
from tests.integration.dasmon_listener.functions.test_pv_update import ask

CALLS = {
    "pvUpdate(varchar, varchar, float8, bigint, bigint)": "pvUpdate('HYS','A',1,0,1771500000)",
    "pvUpdate(varchar, float8, bigint, bigint)": "pvUpdate('B',1,0,1771500000)",
    "pvStringUpdate(varchar, varchar, varchar, bigint, bigint)": (
        "pvStringUpdate('HYS','C','x',0,1771500000)"
    ),
    "pvUpdateBatch(jsonb)": """pvUpdateBatch('[{"name": "D", "value": 1}]')""",
    "setInstrumentPVs(varchar, text[])": "setInstrumentPVs('HYS',ARRAY['A'])",
}


def test_a_role_needs_execute_and_nothing_else(das: Link) -> None:
    caller = das
    caller.execute("CREATE ROLE webmon_test_das; SAVEPOINT made")
    caller.execute("SET ROLE webmon_test_das")
    for call in CALLS.values():
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            caller.execute(f"SELECT {call}".encode())
        caller.execute("ROLLBACK TO made; SET ROLE webmon_test_das")
    caller.execute("RESET ROLE")
    for signature in CALLS:
        caller.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO webmon_test_das".encode())
    caller.execute("SET ROLE webmon_test_das")
    for call in CALLS.values():
        caller.execute(f"SELECT {call}".encode())
    caller.execute("SAVEPOINT called")
    for table in ("dasmon_latest", "dasmon_sample", "dasmon_series", "workflow_instrument"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            caller.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
        caller.execute("ROLLBACK TO called")
    caller.execute("RESET ROLE")
    assert len(ask(caller, "SELECT * FROM dasmon_latest")) == 4


def test_a_callers_own_tables_and_operators_are_not_used(das: Link) -> None:
    das.execute(
        "CREATE SCHEMA trap;"
        "CREATE FUNCTION trap.lower(varchar) RETURNS text LANGUAGE sql AS $$ SELECT 'arcs' $$;"
        "CREATE TEMPORARY TABLE dasmon_latest (LIKE public.dasmon_latest);"
        "CREATE TEMPORARY TABLE workflow_instrument (id bigint, name text);"
        "SET search_path = trap, pg_catalog, public"
    )
    ask(das, "select pvUpdate('HYS'::text,'A',1,0,1771500000)")
    owner = ask(
        das,
        "SELECT i.name FROM public.dasmon_latest l JOIN dasmon_series s ON s.id = series_id"
        " JOIN public.workflow_instrument i ON i.id = s.instrument_id",
    )
    assert owner == [("hys",)]
