"""Every form in which values come (messages.md §6.3 and §9), through a real broker."""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.dasmon_listener.contract.site import ADARA_INSTRUMENT, Site

pytestmark = pytest.mark.django_db  # which makes the database; tests only read it

NOW = "now"  # replaced by the time of sending

ENVELOPE = {"msg_type": "2696937472", "src_id": "DASMON_0", "timestamp": NOW}
LONG_TITLE = "Vanadium, Ei = 60 meV, \u00b5m " + "x" * 300

# name of the form: (body, what is the newest value of each name afterwards, as a text)
FORMS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "simulator, recording": (
        {
            **{"monitors": {"1": 100, "2": 2000}, "count_rate": 9000, "run_number": 324},
            **{"proposal_id": 12345, "run_title": "This is the run title", "recording": True},
        },
        {
            **{"monitor_count_1": "100", "monitor_count_2": "2000", "count_rate": "9000"},
            **{"run_number": "324", "proposal_id": "12345", "recording": "True"},
            "run_title": "This is the run title",
        },
    ),
    "simulator, stopped": (
        {
            **{"monitors": {"1": 0, "2": 0}, "count_rate": 0, "recording": False, "paused": False},
            **{"has_states_count": 0, "scan_index": 0, "scanning": False, "total_charge": 0},
            **{"total_counts": 0, "total_time": 27.1008, "run_title": "test"},
        },
        {
            **{
                "monitor_count_1": "0",
                "recording": "False",
                "paused": "False",
                "scanning": "False",
            },
            **{"total_time": "27.1008", "run_title": "test"},
        },
    ),
    "simulator, states among the values": (
        {
            **{"monitors": {"8": 0}, "system_dasmon": 0, "system_pvsd": 0},
            **{"system_postprocessing": "Created REF_M reduction script"},
            **{"total_charge": 3.03988e10, "total_counts": 111735, "total_time": 2993.14},
        },
        {
            **{"monitor_count_8": "0", "system_dasmon": "0", "system_pvsd": "0"},
            **{"system_postprocessing": "Created REF_M reduction script"},
            **{"total_charge": "30398800000.0", "total_counts": "111735", "total_time": "2993.14"},
        },
    ),
    "production, all texts": (
        {
            **ENVELOPE,
            **{"count_rate": "90210.4", "pulse_charge": "23.1", "pixel_error_rate": "0"},
            "monitors": {"1": "100", "2": "2000"},
        },
        {
            **{"count_rate": "90210.4", "pulse_charge": "23.1", "pixel_error_rate": "0"},
            **{"monitor_count_1": "100", "monitor_count_2": "2000"},
            **{"msg_type": "2696937472", "src_id": "DASMON_0"},
        },
    ),
    "monitors with names": (
        {"monitors": {"beam": {"id": 3, "counts": 812}}, "recording": True, "run_number": 324},
        {"beam_count_3": "812", "recording": "True", "run_number": "324"},
    ),
    "an empty list of monitors": ({**ENVELOPE, "monitors": ""}, {"monitors": ""}),
    "texts of truth": (
        {**ENVELOPE, "recording": "true", "paused": "false"},
        {"recording": "true", "paused": "false"},
    ),
    "nothing, lists and objects": (
        {"nothing": None, "list": [1, 2], "words": ["a"], "object": {"a": 1}},
        {"nothing": "None", "list": "[1, 2]", "words": "['a']", "object": "{'a': 1}"},
    ),
    "numbers in other clothes": (
        {"charge": "3.03988e+10", "zero": "0.00", "index": "007", "hex": "0x10", "none": ""},
        {"charge": "3.03988e+10", "zero": "0.00", "index": "007", "hex": "0x10", "none": ""},
    ),
    "a title of any length": ({**ENVELOPE, "run_title": LONG_TITLE}, {"run_title": LONG_TITLE}),
    "a name of any length": ({"n" * 300: 5}, {"n" * 300: "5"}),
}


def sent_now(body: Mapping[str, Any], now: float | None = None) -> dict[str, Any]:
    moment = str(int(now or time.time()))
    return {key: moment if value == NOW else value for key, value in body.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("facility", ["SNS", "HFIR"])
def test_values(site: Site, facility: str, form: str) -> None:
    """Latest and history; nothing is cut."""
    instrument = site.new_instrument()
    body, expected = FORMS[form]
    site.send(f"/topic/{facility}.{instrument.upper()}.APP.DASMON", sent_now(body))
    for name, words in expected.items():
        seen = site.await_latest(instrument, name)
        assert seen.words == words or seen.words == words.removesuffix(".0"), name
        assert seen.samples == 1, name


@pytest.mark.parametrize("words", ["nan", "inf", "-inf"])
def test_numbers_that_are_not_finite(site: Site, words: str) -> None:
    instrument = site.new_instrument()
    site.send(f"/topic/SNS.{instrument.upper()}.APP.DASMON", {"rate": words})
    value = site.await_latest(instrument, "rate").value
    assert value is not None
    assert math.isnan(value) if words == "nan" else value == float(words)


def test_the_newest_value_is_the_last_one_sent(site: Site) -> None:
    instrument = site.new_instrument()
    for number in range(50):
        site.send(f"/topic/SNS.{instrument.upper()}.APP.DASMON", {"counts": number})
    seen = site.await_latest(instrument, "counts", "49")
    assert seen.samples == 50


def test_a_message_that_was_long_on_its_way(site: Site) -> None:
    """It is history of its own time; the page says how old it is."""
    instrument, sent = site.new_instrument(), time.time() - 7200
    body = {"run_title": "old", "timestamp": str(int(sent))}
    site.send(f"/topic/SNS.{instrument.upper()}.APP.DASMON", body)
    seen = site.await_latest(instrument, "run_title")
    assert seen.at.timestamp() == pytest.approx(sent, abs=2)
    assert seen.received_at.timestamp() == pytest.approx(sent + 7200, abs=60)


@pytest.mark.parametrize("timestamp", ["soon", "milliseconds", "nonsense", "-1"])
def test_clocks_of_others(site: Site, timestamp: str) -> None:
    """A time that cannot be is not believed; one in milliseconds is."""
    instrument, now = site.new_instrument(), time.time()
    told = {"soon": str(int(now) + 86_400), "milliseconds": str(int(now * 1000))}
    body = {"count_rate": "1", "timestamp": told.get(timestamp, timestamp)}
    site.send(f"/topic/SNS.{instrument.upper()}.APP.DASMON", body)
    assert site.await_latest(instrument, "count_rate").at.timestamp() == pytest.approx(now, abs=60)


def test_a_value_that_nobody_wants_is_left_out(site: Site) -> None:
    """Switched off while the listener runs; the replaced one had to be started again."""
    instrument = site.new_instrument()
    topic = f"/topic/SNS.{instrument.upper()}.APP.DASMON"
    site.send(topic, {"noise": "1"})
    site.await_latest(instrument, "noise")
    site.database.execute(
        "UPDATE dasmon_series SET is_recorded = false WHERE name = 'noise' AND instrument_id ="
        " (SELECT id FROM workflow_instrument WHERE name = %s)",
        (instrument,),
    )

    def is_left_out() -> bool:
        before = site.latest(instrument, "noise")
        site.send(topic, {"noise": "2"})
        site.settle(topic, instrument)
        return site.latest(instrument, "noise") == before

    assert any(is_left_out() for _ in range(100))


def test_an_instrument_that_another_process_created(site: Site) -> None:
    """The replaced listener dropped everything of it."""
    instrument = site.new_instrument()
    site.database.execute("INSERT INTO workflow_instrument (name) VALUES (%s)", (instrument,))
    site.send(f"/topic/SNS.{instrument.upper()}.APP.DASMON", {"count_rate": "5"})
    assert site.await_latest(instrument, "count_rate").words == "5"


def test_a_site_with_a_prefix_of_its_own(site: Site) -> None:
    if site.broker != "embedded":  # the others' access rules name the facilities that they serve
        return
    instrument = site.new_instrument()
    site.send(f"/topic/ESS.{instrument.upper()}.APP.DASMON", {"count_rate": "5"})
    site.await_latest(instrument, "count_rate")


def test_topics_that_name_no_instrument(site: Site) -> None:
    """The replaced listener made instruments called `app`, `status` and `signal`."""
    if site.broker != "activemq":  # elsewhere nobody listens to them
        return
    site.send("/topic/ADARA.APP.DASMON.0", {"count_rate": "5"})
    site.send("/topic/ADARA.STATUS.DASMON.0", {"src_id": "DASMON_0", "status": "0"})
    site.await_latest(ADARA_INSTRUMENT, "count_rate")
    site.await_latest(ADARA_INSTRUMENT, "system_dasmon")
    names = {name for (name,) in site.rows("SELECT name FROM workflow_instrument")}
    assert not names & {"app", "status", "signal"}


def test_process_variables_in_bulk(site: Site) -> None:
    """A new sender's way: many values in one message."""
    instrument, now = site.new_instrument(), time.time()
    values = [
        {"name": "BL18:SE:SampleTemp", "value": 4.2, "status": 0, "timestamp": now - 1},
        {"name": "BL18:SE:SampleTemp", "value": 4.3, "status": 6, "timestamp": now},
        {"name": "BL18:Det:Mode", "value": "Histogram", "status": 0, "timestamp": now},
        {"name": "BL18:Det:Bad", "value": "nan", "status": 65535, "timestamp": now},
    ]
    site.send(f"/topic/SNS.{instrument.upper()}.APP.PV", {"values": values})
    temperature = site.await_latest(instrument, "BL18:SE:SampleTemp", "4.3")
    assert (temperature.samples, temperature.kind) == (2, 0)
    assert site.await_latest(instrument, "BL18:Det:Mode").text == "Histogram"
    statuses = site.rows("SELECT status FROM dasmon_latest WHERE status IN (6, 65535)")
    assert {status for (status,) in statuses} == {6, 65535}
