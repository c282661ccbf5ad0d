"""`setInstrumentPVs`, and the page's way to the same list."""

from collections.abc import Callable

import psycopg
import pytest

from dasmon_listener.monitored import choose_pvs
from tests.integration.dasmon_listener.functions.conftest import Link
from tests.integration.dasmon_listener.functions.test_pv_update import ask
from workflow_manager.models import Instrument

CHOSEN = """
SELECT m.name, m.rule_name FROM dasmon_monitored_pv m
JOIN workflow_instrument i ON i.id = m.instrument_id WHERE i.name = 'hys' ORDER BY m.position
"""


def choose(link: Link, array: str) -> list[str]:
    assert len(ask(link, f"select setInstrumentPVs('HYS'::text,{array})")) == 1
    return [name for name, _ in ask(link, CHOSEN)]


@pytest.mark.parametrize(
    ("array", "names"),
    [
        ("ARRAY['BL14B:Mot:s1','BL14B:Det:Mode']::text[]", ["BL14B:Mot:s1", "BL14B:Det:Mode"]),
        ("ARRAY[]::text[]", []),
        ("'{}'", []),
        ("ARRAY['b','a','b',NULL,'','a']", ["b", "a"]),
        ("ARRAY[['d','c'],['b','c']]::text[]", ["d", "c", "b"]),
    ],
)
def test_a_list_replaces_the_one_before(das: Link, array: str, names: list[str]) -> None:
    das.execute("SELECT setInstrumentPVs('ARCS', ARRAY['a'])")
    choose(das, "ARRAY['old','a']")
    assert choose(das, array) == names
    assert len(ask(das, "SELECT FROM dasmon_monitored_pv WHERE name = 'a'")) == 1 + ("a" in names)


def test_what_stays_keeps_its_rule_and_age(das: Link) -> None:
    choose(das, "ARRAY['a','b','c']")
    das.execute(
        "UPDATE dasmon_monitored_pv SET rule_name = 'hot', created_at = '2020-01-01Z'"
        " WHERE name = 'b'"
    )
    assert choose(das, "ARRAY['c','b','d']") == ["c", "b", "d"]
    assert ask(das, CHOSEN) == [("c", ""), ("b", "hot"), ("d", "")]
    kept = ask(das, "SELECT name FROM dasmon_monitored_pv WHERE created_at = '2020-01-01Z'")
    assert kept == [("b",)]


def test_errors_say_what_is_wrong(das: Link) -> None:
    choose(das, "ARRAY['a']")
    with pytest.raises(psycopg.Error, match=r"^Instrument HysX does not exist"), das.transaction():
        ask(das, "select setInstrumentPVs('HysX'::text,ARRAY['a'])")
    with pytest.raises(psycopg.Error, match="but got NULL"), das.transaction():
        ask(das, "select setInstrumentPVs('HYS'::text,NULL)")
    assert ask(das, CHOSEN) == [("a", "")]


def test_the_page_and_the_function_agree(connect: Callable[[], Link]) -> None:
    das = connect()
    choose(das, "ARRAY['a','b']")
    choose_pvs(Instrument.objects.get(name="hys"), ["c", "b", "c"])
    assert [name for name, _ in ask(das, CHOSEN)] == ["c", "b"]
