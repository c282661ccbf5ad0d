"""SQL that was written for the old tables of values and PVs gives its answers on the views."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dasmon_listener.models import Alarm, Equipment, Latest, Recipient, Series
from tests.integration.workflow_manager.old_system import OldDatabase
from workflow_manager.models import Instrument

pytestmark = pytest.mark.django_db

AT = dt.datetime.fromtimestamp(1771500000, dt.UTC)
VIEWS = {
    *("dasmon_parameter", "dasmon_statusvariable", "dasmon_statuscache", "dasmon_signal"),
    *("dasmon_activeinstrument", "dasmon_usernotification"),
    *("dasmon_usernotification_instruments", "pvmon_pvname", "pvmon_pv", "pvmon_pvcache"),
    *("pvmon_pvstringcache", "pvmon_monitoredvariable"),
}
SIGNAL_TABLE = """
SELECT n.name, m.rule_name, coalesce(c.value::text, t.value)
FROM pvmon_monitoredvariable m
JOIN report_instrument i ON i.id = m.instrument_id
LEFT JOIN pvmon_pvname n ON n.id = m.pv_name_id
LEFT JOIN pvmon_pvcache c ON c.name_id = n.id AND c.instrument_id = i.id
LEFT JOIN pvmon_pvstringcache t ON t.name_id = n.id AND t.instrument_id = i.id
WHERE i.name = %s ORDER BY m.id
"""


def ask(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = legacy, public")
        cursor.execute(statement, list(values) or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


@pytest.fixture(autouse=True)
def hys() -> Iterator[Instrument]:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE dasmon_sample")
    Instrument.objects.create(name="arcs")
    yield Instrument.objects.create(name="hys")


def test_columns_are_those_of_the_old_tables(old: OldDatabase) -> None:
    columns = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = ANY (%s) ORDER BY table_name, column_name"
    )
    here = ask(columns, "legacy", sorted(VIEWS))
    there = old.link.execute(columns, ["public", sorted(VIEWS)]).fetchall()
    narrow = {("level", "integer"), ("status", "integer"), ("user_id", "integer")}
    assert here == [
        (table, name, kind if (name, kind) in narrow else kind.replace("integer", "bigint"))
        for table, name, kind in there
    ]
    assert {table for table, *_ in here} == VIEWS


def test_pvs_as_the_functions_left_them() -> None:
    for statement in (
        "SELECT pvUpdate('HYS', 'number', 3.5, 2, 1771500000)",
        "SELECT pvUpdate('HYS', 'number', 4.5, 3, 1771500001)",
        "SELECT pvUpdate('ARCS', 'number', 7, 0, 1771500000)",
        "SELECT pvUpdate(NULL, 'nobody', 1, 0, 1771500000)",
        "SELECT pvStringUpdate('HYS', 'text', '42', 1, 1771500000)",
    ):
        ask(statement)
    names = ask("SELECT name, monitored FROM pvmon_pvname ORDER BY name")
    assert names == [("nobody", True), ("number", True), ("text", True)]
    history = (
        "SELECT i.name, n.name, p.value, p.status, p.timestamp FROM pvmon_pv p"
        " JOIN pvmon_pvname n ON n.id = p.name_id"
        " LEFT JOIN report_instrument i ON i.id = p.instrument_id ORDER BY p.id"
    )
    assert ask(history) == [
        ("hys", "number", 3.5, 2, AT),
        ("hys", "number", 4.5, 3, AT + dt.timedelta(seconds=1)),
        ("arcs", "number", 7, 0, AT),
        (None, "nobody", 1, 0, AT),
    ]
    cached = "SELECT n.name, c.value, c.status FROM {} c JOIN pvmon_pvname n ON n.id = c.name_id"
    numbers = sorted(ask(cached.format("pvmon_pvcache")))
    assert numbers == [("nobody", 1, 0), ("number", 4.5, 3), ("number", 7, 0)]
    assert ask(cached.format("pvmon_pvstringcache")) == [("text", "42", 1)]
    assert len(ask("SELECT DISTINCT id FROM pvmon_pv")) == 4


def test_monitored_pvs_are_those_with_a_value_or_one_row_without_a_pv() -> None:
    ask("SELECT pvUpdate('HYS', 'a', 1.5, 0, 1771500000)")
    ask("SELECT pvStringUpdate('HYS', 'b', 'on', 0, 1771500000)")
    ask("SELECT pvUpdate('ARCS', 'c', 2, 0, 1771500000)")
    ask("SELECT setInstrumentPVs('HYS', '{b,c,a}')")
    assert ask(SIGNAL_TABLE, "hys") == [("b", "", "on"), ("a", "", "1.5")]
    ask("SELECT setInstrumentPVs('HYS', '{c}')")
    assert ask(SIGNAL_TABLE, "hys") == [(None, "", None)]
    ask("SELECT pvUpdate('HYS', 'c', 3, 0, 1771500000)")
    assert ask(SIGNAL_TABLE, "hys") == [("c", "", "3")]
    ask("SELECT setInstrumentPVs('HYS', '{}')")
    assert ask(SIGNAL_TABLE, "hys") == [(None, "", None)]


def test_status_values(hys: Instrument) -> None:
    series = Series.objects.create(instrument=hys, kind=1, name="run_title")
    count = Series.objects.create(instrument=hys, kind=1, name="counts", is_recorded=False)
    later = AT + dt.timedelta(seconds=9)
    Latest.objects.create(series=series, at=AT, received_at=later, text="x" * 200)
    Latest.objects.create(series=count, at=AT, received_at=later, value=3.5)
    ask(
        "INSERT INTO dasmon_sample (at, value, series_id) VALUES (%s, 3.5, %s) RETURNING 1",
        *(AT, count.pk),
    )
    cached = (
        "SELECT p.name, p.monitored, c.value, c.timestamp, i.name FROM {} c"
        " JOIN dasmon_parameter p ON p.id = c.key_id_id"
        " JOIN report_instrument i ON i.id = c.instrument_id_id ORDER BY p.name"
    )
    assert ask(cached.format("dasmon_statuscache")) == [
        ("counts", False, "3.5", later, "hys"),
        ("run_title", True, "x" * 128, later, "hys"),
    ]
    assert ask(cached.format("dasmon_statusvariable")) == [("counts", False, "3.5", AT, "hys")]


def test_signals_equipment_and_notifications(hys: Instrument) -> None:
    common = {"instrument": hys, "raised_at": AT, "repeated_at": AT, "level": 3}
    Alarm.objects.create(name="SV", origin="signal", source="s" * 60, message="m" * 300, **common)
    Alarm.objects.create(name="OVER", origin="signal", over_at=AT, is_latched=True, **common)
    Alarm.objects.create(name="RULE", origin="rule", **common)
    shown = ask("SELECT name, source, message, level, timestamp FROM dasmon_signal")
    assert shown == [("SV", "s" * 40, "m" * 250, 3, AT)]
    Equipment.objects.create(instrument=hys, has_pvsd=True)
    options = ask(
        "SELECT is_alive, is_adara, has_pvsd, has_pvstreamer FROM dasmon_activeinstrument"
    )
    assert options == [(True, True, True, True)]
    people = [User.objects.create(username=name) for name in ("all", "one", "hook")]
    for person, way in zip(people, ("email", "email", "slack"), strict=True):
        Recipient.objects.create(owner=person, way=way, address=f"{person}@x")
    Recipient.objects.get(owner=people[1]).instruments.add(hys)
    told = ask(
        "SELECT u.user_id, u.email, u.registered, i.name FROM dasmon_usernotification u"
        " JOIN dasmon_usernotification_instruments l ON l.usernotification_id = u.id"
        " JOIN report_instrument i ON i.id = l.instrument_id ORDER BY 1, 4"
    )
    assert told == [
        (people[0].pk, "all@x", True, "arcs"),
        (people[0].pk, "all@x", True, "hys"),
        (people[1].pk, "one@x", True, "hys"),
    ]


def test_history_of_one_pv_is_read_by_its_index() -> None:
    ask(
        "INSERT INTO dasmon_series (instrument_id, kind, name)"
        " SELECT id, 0, 'PV' || n FROM workflow_instrument, generate_series(1, 3000) AS n"
        " RETURNING 1"
    )
    ask(
        "INSERT INTO dasmon_sample (at, value, series_id)"
        " SELECT now() - n * interval '1 s', n, id FROM dasmon_series,"
        " generate_series(1, 10) AS n RETURNING 1"
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE dasmon_sample, dasmon_series, workflow_instrument")
    [(name_id,)] = ask("SELECT id FROM pvmon_pvname WHERE name = 'PV5'")
    [(plan,)] = ask(
        "EXPLAIN (FORMAT JSON) SELECT value FROM pvmon_pv WHERE name_id = %s"
        " AND timestamp > now() - interval '1 hour'",
        name_id,
    )
    plan = plan if isinstance(plan, str) else json.dumps(plan)
    assert "series_by_legacy_number" in plan
    assert f"dasmon_sample_{dt.datetime.now(dt.UTC):%Y_%m_%d}_series_id_at_idx" in plan


def test_views_refuse_to_be_written() -> None:
    for view in VIEWS:
        with (
            connection.cursor() as cursor,
            pytest.raises(Exception, match=f"legacy.{view} is a read-only view: INSERT"),
        ):
            cursor.execute("SAVEPOINT before")
            try:
                ask("SELECT pvUpdate('HYS', 'a', 1.5, 0, 1771500000)")
                cursor.execute(f"INSERT INTO legacy.{view} DEFAULT VALUES")
            finally:
                cursor.execute("ROLLBACK TO before")
