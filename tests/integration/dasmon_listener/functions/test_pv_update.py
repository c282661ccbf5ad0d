"""`pvUpdate` and `pvStringUpdate`, called with the texts that the data acquisition sends."""

import datetime as dt
import json
import math
import time
from typing import Any

import psycopg
import pytest

from tests.integration.dasmon_listener.functions.conftest import Link

THEN = 1771500000
AT = dt.datetime.fromtimestamp(THEN, dt.UTC)
LATEST = """
SELECT i.name, s.name, l.value, l.text, l.status, l.at
FROM dasmon_latest l JOIN dasmon_series s ON s.id = l.series_id
LEFT JOIN workflow_instrument i ON i.id = s.instrument_id ORDER BY 1, 2
"""
SAMPLES = """
SELECT i.name, s.name, x.value, x.text, x.status, x.at
FROM dasmon_sample x JOIN dasmon_series s ON s.id = x.series_id
LEFT JOIN workflow_instrument i ON i.id = s.instrument_id ORDER BY x.received_at
"""


def ask(link: Link, statement: str) -> list[tuple[Any, ...]]:
    """The rows, by the simple protocol with everything in the text, as PQexec sends it."""
    return psycopg.ClientCursor(link).execute(statement.encode()).fetchall()


@pytest.mark.parametrize(
    ("statement", "value", "text"),
    [
        ("select pvUpdate('HYS'::text,'BL14B:Mot:s1',3.5,0,1771500000)", 3.5, None),
        ("select pvUpdate('HYS'::text,'BL14B:Mot:s1',42,0,1771500000)", 42, None),
        ("select * from pvUpdate('HYS','BL14B:Mot:s1',-1e-07,0,1771500000)", -1e-7, None),
        (
            "select PVUPDATE(instrument => 'hys', pv_name => 'BL14B:Mot:s1', value => 'inf',"
            " status => 0, update_time => 1771500000)",
            math.inf,
            None,
        ),
        (
            "select pvStringUpdate('HYS'::text,'BL14B:Mot:s1','Histogram',0,1771500000)",
            None,
            "Histogram",
        ),
        ("select pvStringUpdate('HYS','BL14B:Mot:s1','it''s 42',0,1771500000)", None, "it's 42"),
        ("select * from pvStringUpdate('HYS','BL14B:Mot:s1','',0,1771500000)", None, ""),
    ],
)
def test_each_form_of_a_call(das: Link, statement: str, value: float, text: str) -> None:
    assert len(ask(das, statement)) == 1
    row = ("hys", "BL14B:Mot:s1", value, text, 0, AT)
    assert ask(das, LATEST) == ask(das, SAMPLES) == [row]


def test_a_call_through_bound_parameters(das: Link) -> None:
    for instrument in ("HYS", None):
        das.execute("SELECT pvUpdate(%s, %s, %s, %s, %s)", [instrument, "PV", 1.5, 0, THEN])
        das.execute("SELECT pvStringUpdate(%s, %s, %s, %s, %s)", [instrument, "T", "a", 0, THEN])
    das.execute("SELECT pvUpdate(%s, %s, %s, %s)", ["PV", 2.5, 0, THEN])
    shown = [(row[0], row[1], row[2]) for row in ask(das, LATEST)]
    assert shown == [("hys", "PV", 2.5), ("hys", "T", None), (None, "PV", 1.5), (None, "T", None)]


def test_value_status_and_time_of_the_newest_are_kept_and_all_are_history(das: Link) -> None:
    ask(das, "select pvUpdate('HYS'::text,'A',1,0,1771500000)")
    ask(das, "select pvStringUpdate('HYS'::text,'A','Mode',65535,1771500005)")
    ask(das, "select pvUpdate('HYS'::text,'A',2,3,1771500003)")
    later = dt.timedelta(seconds=5)
    assert ask(das, LATEST) == [("hys", "A", None, "Mode", 65535, AT + later)]
    assert [row[2] for row in ask(das, SAMPLES)] == [1, None, 2]
    ask(das, "select pvUpdate('HYS'::text,'A',7,3,1771500005)")
    assert ask(das, LATEST) == [("hys", "A", 7, None, 3, AT + later)]


def test_a_clock_that_was_put_back_is_believed_after_a_minute(das: Link) -> None:
    ask(das, "select pvUpdate('HYS'::text,'A',1,0,1771500000)")
    das.execute("UPDATE dasmon_latest SET received_at = received_at - interval '61 s'")
    ask(das, "select pvUpdate('HYS'::text,'A',2,0,1771400000)")
    assert [row[2] for row in ask(das, LATEST)] == [2]


@pytest.mark.parametrize(
    "update_time", ["0", "NULL", "-1", "100", "4294967295", "9223372036854775807", "{future}"]
)
def test_a_time_that_cannot_be_is_ours(das: Link, update_time: str) -> None:
    sent = update_time.format(future=int(time.time()) + 600)
    ask(das, f"select pvUpdate('HYS'::text,'A',1,0,{sent})")
    ask(das, f"select pvStringUpdate('HYS'::text,'B','x',0,{sent})")
    [(ours, theirs)] = ask(
        das,
        "SELECT count(*) FILTER (WHERE at = received_at),"
        " count(*) FILTER (WHERE at > now() - interval '1 min' AND at <= clock_timestamp())"
        " FROM dasmon_sample",
    )
    assert (ours, theirs) == (2, 2)


def test_a_clock_that_is_a_little_ahead_is_kept(das: Link) -> None:
    ahead = int(time.time()) + 30
    ask(das, f"select pvUpdate('HYS'::text,'A',1,0,{ahead})")
    assert ask(das, LATEST)[0][5].timestamp() == ahead


def test_the_repeated_hour_of_autumn_is_two_hours(das: Link) -> None:
    das.execute("SET timezone = 'America/New_York'")
    for hour in (0, 1):
        sent = 1762063200 - 3600 + hour * 3600  # 01:00 EDT and 01:00 EST of 2025-11-02
        ask(das, f"select pvUpdate('HYS'::text,'A',{hour},0,{sent})")
        [(at,)] = ask(das, "SELECT extract(epoch FROM at)::int FROM dasmon_latest")
        assert at == sent


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        ("0", 0),
        ("65534", 65534),
        ("4294967295", 2147483647),
        ("-9223372036854775808", -2147483648),
        ("NULL", None),
    ],
)
def test_any_status_is_kept_as_near_as_can_be(das: Link, status: str, kept: int) -> None:
    ask(das, f"select pvUpdate('HYS'::text,'A',1,{status},1771500000)")
    ask(das, f"select pvStringUpdate('HYS'::text,'B','x',{status},1771500000)")
    assert [row[4] for row in ask(das, LATEST)] == [kept, kept]


@pytest.mark.parametrize("value", ["'nan'::float8", "'inf'::float8", "'-inf'::float8", "1e308"])
def test_every_number_is_kept(das: Link, value: str) -> None:
    ask(das, f"select pvUpdate('HYS'::text,'A',{value},0,1771500000)")
    for table in ("dasmon_latest", "dasmon_sample"):
        assert ask(das, f"SELECT value = {value} FROM {table}") == [(True,)]  # noqa: S608


def test_names_of_any_length_and_script(das: Link) -> None:
    random = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(4000))
    names = ["x" * 51, random, random + "a", "温度 'A' \\ %s", "x" * 4900]
    for number, name in enumerate([*names, *names]):
        das.execute("SELECT pvUpdate('HYS', %s, %s, 0, 1771500000)", [name, number])
        das.execute("SELECT pvStringUpdate('ARCS', %s, %s, 0, 1771500000)", [name, "a" * 9999])
    rows = ask(das, LATEST)
    assert sorted(row[2] for row in rows if row[0] == "hys") == [5, 6, 7, 8, 9]
    assert {row[3] for row in rows if row[0] == "arcs"} == {"a" * 9999}
    assert {"x" * 51, "温度 'A' \\ %s"} < {row[1] for row in rows}
    das.execute("SELECT setInstrumentPVs('HYS', %s)", [names])
    shown = ask(das, "SELECT count(*) FROM dasmon_monitored_pv JOIN dasmon_series USING (name)")
    assert shown == [(2 * len(names),)]


def test_an_unknown_instrument_or_none_is_one_series_and_no_error(das: Link) -> None:
    for number, instrument in enumerate(("'NOWHERE'::text", "NULL", "'elsewhere'", "''")):
        statement = f"select pvUpdate({instrument},'A',{number},0,{THEN + number})"
        assert len(ask(das, statement)) == 1
    assert ask(das, LATEST) == [(None, "A", 3, None, 0, AT + dt.timedelta(seconds=3))]
    assert [row[2] for row in ask(das, SAMPLES)] == [0, 1, 2, 3]
    assert ask(das, "SELECT count(*) FROM workflow_instrument") == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "select pvUpdate('HYS'::text,NULL,1,0,1771500000)",
        "select pvUpdate('HYS'::text,'',1,0,1771500000)",
        "select pvUpdate('HYS'::text,'A',NULL,0,1771500000)",
        "select pvStringUpdate('HYS'::text,'A',NULL,0,1771500000)",
        "select pvStringUpdate('HYS'::text,NULL,'x',0,1771500000)",
        "select pvUpdate(NULL,1,0,1771500000)",
        "select pvUpdate('A',NULL,0,1771500000)",
    ],
)
def test_nothing_to_keep_harms_nothing(das: Link, statement: str) -> None:
    assert len(ask(das, statement)) == 1
    assert ask(das, SAMPLES) == ask(das, "SELECT * FROM dasmon_series") == []


def test_the_old_form_writes_to_the_one_instrument_that_has_the_pv(das: Link) -> None:
    ask(das, "select pvUpdate('HYS'::text,'only',1,0,1771500000)")
    for beamline in ("HYS", "ARCS"):
        ask(das, f"select pvUpdate('{beamline}'::text,'both',1,0,1771500000)")
    for name in ("only", "both", "new"):
        assert len(ask(das, f"select pvUpdate('{name}',2,1,1771500001)")) == 1
    assert [(row[0], row[1], row[2]) for row in ask(das, LATEST)] == [
        ("arcs", "both", 1),
        ("hys", "both", 1),
        ("hys", "only", 2),
        (None, "both", 2),
        (None, "new", 2),
    ]
    # What nobody has stays where it is.
    ask(das, "select * from pvUpdate('new',3,1,1771500002)")
    assert ask(das, LATEST)[-1][:3] == (None, "new", 3)


def test_a_pv_that_is_not_recorded_is_left_out(das: Link) -> None:
    ask(das, "select pvUpdate('HYS'::text,'A',1,0,1771500000)")
    das.execute("UPDATE dasmon_series SET is_recorded = false")
    ask(das, "select pvUpdate('HYS'::text,'A',2,0,1771500001)")
    ask(das, "select pvStringUpdate('HYS'::text,'A','x',0,1771500001)")
    ask(das, """select pvUpdateBatch('[{"instrument": "HYS", "name": "A", "value": 3}]')""")
    assert [row[2] for row in ask(das, LATEST)] == [row[2] for row in ask(das, SAMPLES)] == [1]


def test_a_status_value_of_the_same_name_is_another_series(das: Link) -> None:
    das.execute(
        "INSERT INTO dasmon_series (instrument_id, kind, name)"
        " SELECT id, 1, 'run_number' FROM workflow_instrument WHERE name = 'hys'"
    )
    ask(das, "select pvUpdate('HYS'::text,'run_number',1,0,1771500000)")
    ask(das, "select pvUpdate('run_number',2,0,1771500001)")
    assert [(row[0], row[2]) for row in ask(das, LATEST)] == [("hys", 2)]
    assert ask(das, "SELECT count(*) FROM dasmon_series") == [(2,)]


def test_one_bad_statement_of_a_session_harms_no_other(das: Link) -> None:
    with pytest.raises(psycopg.Error), das.transaction():
        ask(das, "select pvUpdate('HYS'::text,'A',nan,0,1771500000)")
    ask(das, "select pvUpdate('HYS'::text,'B',1,0,1771500000)")
    assert [row[1] for row in ask(das, LATEST)] == ["B"]


def entry(name: object, value: object, **rest: object) -> dict[str, object]:
    return {
        "instrument": "HYS",
        "name": name,
        "value": value,
        "status": 1,
        "timestamp": THEN,
    } | rest


def put(link: Link, *entries: object) -> int:
    row = link.execute("SELECT pvUpdateBatch(%s)", [json.dumps(entries)]).fetchone()
    assert row is not None
    return int(row[0])


def test_a_batch_keeps_every_kind_of_value(das: Link) -> None:
    values = {
        "a number": (3.25, (3.25, None)),
        "a whole number": (7, (7, None)),
        "a huge number": (10**400, (math.inf, None)),
        "a tiny number": (1e-307, (1e-307, None)),
        "inf": ("inf", (math.inf, None)),
        "-Infinity": ("-Infinity", (-math.inf, None)),
        "a text": ("Histogram", (None, "Histogram")),
        "a text of digits": ("42", (None, "42")),
        "no text": ("", (None, "")),
        "true": (True, (1, "true")),
        "false": (False, (0, "false")),
        "an array": ([1, 2.5], (None, "[1, 2.5]")),
        "an object": ({"a": 1}, (None, '{"a": 1}')),
    }
    assert put(das, *(entry(name, value) for name, (value, _) in values.items())) == len(values)
    kept = {row[1]: (row[2], row[3]) for row in ask(das, LATEST)}
    assert kept == {name: kept for name, (_, kept) in values.items()}
    assert {row[1]: (row[2], row[3]) for row in ask(das, SAMPLES)} == kept
    assert {(row[0], row[4], row[5]) for row in ask(das, LATEST)} == {("hys", 1, AT)}
    assert put(das, entry("nan", "NaN"), entry("tiny", 1e-320)) == 2
    assert ask(das, "SELECT count(*) FROM dasmon_latest WHERE value = 'nan'") == [(1,)]


def test_a_bad_entry_of_a_batch_harms_no_other(das: Link) -> None:
    now = time.time()
    bad = [
        *(None, 3, "x", [entry("nested", 1)], {}),
        *(entry(None, 1), entry("", 1), entry("null", None), {"name": "no value"}),
    ]
    odd = [
        entry("odd status", 1, status="broken"),
        entry("large status", 1, status=2**70),
        entry("no status", 1, status=None),
        entry("odd time", 1, timestamp="yesterday"),
        entry("huge time", 1, timestamp=10**400),
        entry("future", 1, timestamp=now + 600),
        entry("number for a name", 1) | {"name": 5},
        entry("long" * 3000, 1),
        entry("no instrument", 1, instrument=None),
        {"name": "bare", "value": 1},
    ]
    assert put(das, *bad, *odd, entry("good", 1)) == len(odd) + 1
    rows = {row[1]: row for row in ask(das, LATEST)}
    assert rows["good"] == ("hys", "good", 1, None, 1, AT)
    assert [rows[name][4] for name in ("odd status", "large status", "no status")] == [
        *(None, 2**31 - 1, None)
    ]
    ours = [rows[name][5].timestamp() for name in ("odd time", "huge time", "future", "bare")]
    assert all(now - 1 < at < now + 60 for at in ours)
    assert rows["no instrument"][0] is rows["bare"][0] is None
    assert put(das) == put(das, *bad) == 0
    assert das.execute("SELECT pvUpdateBatch(NULL)").fetchone() == (0,)
    with (
        pytest.raises(psycopg.Error, match=r"takes an array of objects .* but got: object"),
        das.transaction(),
    ):
        das.execute("SELECT pvUpdateBatch('{}')")


def test_several_values_of_one_pv_in_a_batch(das: Link) -> None:
    sent = [(1, 2), (2, 9), (3, 9), (4, 5)]
    entries = [entry("A", value, timestamp=THEN + late + 0.25) for value, late in sent]
    assert put(das, *entries) == 4
    assert ask(das, LATEST)[0][2:] == (3, None, 1, AT + dt.timedelta(seconds=9.25))
    assert sorted(row[2] for row in ask(das, SAMPLES)) == [1, 2, 3, 4]
    put(das, entry("A", 5, timestamp=THEN))
    assert ask(das, LATEST)[0][2] == 3
