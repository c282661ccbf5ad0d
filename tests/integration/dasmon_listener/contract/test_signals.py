"""Signals (messages.md §6.4), through a real broker."""

import time
from typing import Any

import pytest

from tests.integration.dasmon_listener.contract.site import Site

pytestmark = pytest.mark.django_db  # which makes the database; tests only read it


def asserted(**changes: Any) -> dict[str, Any]:
    return {
        **{"msg_type": "2147483648", "src_id": "DASMON_0", "timestamp": str(int(time.time()))},
        **{"sig_name": "SID_SVP_HIGH", "sig_source": "DAS", "sig_level": "3"},
        "sig_message": "SV pressure too high",
        **changes,
    }


RETRACTED = {"msg_type": "2147483649", "src_id": "DASMON_0", "sig_name": "SID_SVP_HIGH"}


@pytest.mark.parametrize("facility", ["SNS", "HFIR"])
def test_a_signal_is_asserted_repeated_and_retracted(site: Site, facility: str) -> None:
    instrument = site.new_instrument()
    topic = f"/topic/{facility}.{instrument.upper()}.SIGNAL.DASMON"
    for _ in range(3):
        site.send(topic, asserted())
    settled = (3, "DAS", "SV pressure too high", 2, False)
    assert site.await_true(lambda: site.alarms(instrument, "SID_SVP_HIGH") == [settled])
    site.send(topic, {**RETRACTED, "timestamp": str(int(time.time()))})
    over = [(*settled[:4], True)]
    assert site.await_true(lambda: site.alarms(instrument, "SID_SVP_HIGH") == over)
    site.send(topic, asserted(sig_level=5))
    assert site.await_true(lambda: len(site.alarms(instrument, "SID_SVP_HIGH")) == 2)
    assert site.alarms(instrument, "SID_SVP_HIGH")[1][0] == 5, "another occurrence"


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4, 5, "0", "5"])
def test_levels(site: Site, level: object) -> None:
    instrument = site.new_instrument()
    site.send(f"/topic/SNS.{instrument.upper()}.SIGNAL.DASMON", asserted(sig_level=level))
    assert site.await_true(lambda: bool(site.alarms(instrument, "SID_SVP_HIGH")))
    assert site.alarms(instrument, "SID_SVP_HIGH")[0][0] == int(str(level))


def test_least_of_all(site: Site) -> None:
    """A name and a level are enough, and nothing is cut."""
    instrument, name = site.new_instrument(), "SID_" + "N" * 300
    site.send(f"/topic/SNS.{instrument.upper()}.SIGNAL.DASMON", {"sig_name": name, "sig_level": 3})
    assert site.await_true(lambda: bool(site.alarms(instrument, name)))
    long = "pressure " * 100
    second = asserted(sig_message=long, sig_source="S" * 100)
    site.send(f"/topic/SNS.{instrument.upper()}.SIGNAL.DASMON", second)
    assert site.await_true(lambda: bool(site.alarms(instrument, "SID_SVP_HIGH")))
    assert site.alarms(instrument, "SID_SVP_HIGH")[0][1:3] == ("S" * 100, long)


def test_a_signal_of_an_hour_ago_is_no_alarm(site: Site) -> None:
    instrument = site.new_instrument()
    topic = f"/topic/SNS.{instrument.upper()}.SIGNAL.DASMON"
    site.send(topic, asserted(timestamp=str(int(time.time()) - 3700)))
    site.settle(topic, instrument)
    assert site.alarms(instrument, "SID_SVP_HIGH") == []


@pytest.mark.parametrize(
    "body", [{"sig_level": "3"}, asserted(sig_level="high"), asserted(sig_level=6)]
)
def test_what_is_no_signal_is_kept_and_said(site: Site, body: dict[str, Any]) -> None:
    instrument = site.new_instrument()
    topic = f"/topic/SNS.{instrument.upper()}.SIGNAL.DASMON"
    site.send(topic, body)
    site.settle(topic, instrument)
    assert site.unread(topic)
    assert site.alarms(instrument, "SID_SVP_HIGH") == []
