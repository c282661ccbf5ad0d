"""Heartbeats, pings, script results (messages.md §6.2, §6.6, §7), through a real broker."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.dasmon_listener.contract.site import PING, Site

pytestmark = pytest.mark.django_db  # which makes the database; tests only read it

# form: (process in the topic, body, name of the value, status)
FORMS: Mapping[str, tuple[str, Mapping[str, Any], str, str]] = {
    "simulator's dasmon": ("DASMON", {"src_name": "dasmon", "status": "0"}, "dasmon", "0"),
    "simulator's pvsd": ("PVSD", {"src_name": "pvsd", "status": "0"}, "pvsd", "0"),
    "pvstreamer": ("PVSD", {"src_name": "pvstreamer", "status": "0"}, "pvstreamer", "0"),
    "dasmon": (
        "DASMON",
        {
            **{"msg_type": "1073741824", "src_id": "DASMON_0", "dest_id": "", "status": "0"},
            **{"timestamp": "1771500000", "pid": "4000"},
        },
        "dasmon",
        "0",
    ),
    "older dasmon": ("DASMON", {"src_name": "DASMON.0", "status": 2}, "dasmon", "2"),
    "sms": ("SMS", {"src_id": "SMS_32162", "status": "1"}, "sms", "1"),
    "a number": ("DASMON", {"src_id": "DASMON_0", "status": 3, "pid": 17}, "dasmon", "3"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("facility", ["SNS", "HFIR"])
def test_heartbeats(site: Site, facility: str, form: str) -> None:
    """The newest value, whoever reads it; no history; and a component that is there."""
    instrument = site.new_instrument()
    process, body, name, status = FORMS[form]
    site.send(f"/topic/{facility}.{instrument.upper()}.STATUS.{process}", body)
    seen = site.await_latest(instrument, f"system_{name}")
    assert (seen.words, seen.samples) == (status, 0)
    component = site.component(instrument, name)
    assert component is not None
    assert component[0] == status
    if "pid" in body and process != "SMS":
        assert site.await_latest(instrument, f"system_{name}_pid").words == str(body["pid"])


@pytest.mark.parametrize(
    "body", [{"src_id": "SMS_32162"}, {}, [1, 2], "no JSON", '"text"', "\x01\x02", "", "[" * 5000]
)
def test_what_is_no_heartbeat_stops_nobody(site: Site, body: Any) -> None:
    """A missing status ended the replaced listener's receiver."""
    instrument = site.new_instrument()
    topic = f"/topic/SNS.{instrument.upper()}.STATUS.SMS"
    site.send(topic, body if isinstance(body, str) else json.dumps(body))
    site.send(topic, {"src_id": "SMS_1", "status": "0"})
    site.await_latest(instrument, "system_sms")
    ((reason, times),) = site.unread(topic)
    assert times == 1
    assert reason.endswith(".")


@pytest.mark.parametrize("facility", ["SNS", "HFIR"])
def test_results_of_script_creation_have_a_history(site: Site, facility: str) -> None:
    """The replaced page read the history, where they never came."""
    instrument = site.new_instrument()
    topic = f"/topic/{facility}.{instrument.upper()}.STATUS.POSTPROCESS"
    texts = [
        f"Created {instrument.upper()} reduction script",
        f"Error creating {instrument.upper()} reduction script: no template " + "x" * 300,
    ]
    for text in texts:
        site.send(topic, {"src_id": "postprocessing", "status": text})
    seen = site.await_latest(instrument, "system_postprocessing", texts[-1])
    assert (seen.text, seen.samples) == (texts[-1], 2)
    assert site.component(instrument, "postprocessing") is None, "it beats for nobody"


def test_heartbeats_of_the_central_services(site: Site) -> None:
    site.send(
        "/topic/SNS.COMMON.STATUS.WORKFLOW.0",
        {"src_name": "workflowmgr", "status": "0", "pid": "77"},
    )
    site.send(
        "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0",
        {
            **{"src_name": "autoreducer4.sns.gov", "role": "postprocessing"},
            **{"status": "0", "pid": "2201"},
        },
    )
    for name, pid in (("workflowmgr", "77"), ("autoreducer4.sns.gov", "2201")):
        assert site.await_latest("common", f"system_{name}").words == "0"
        assert site.await_latest("common", f"system_{name}_pid").words == pid
        assert site.component("common", name) == ("0", pid, False)


def test_our_own_heartbeat_and_ping(site: Site) -> None:
    """An agent's answer shows when it came and how long it took."""
    own = site.await_latest("common", "system_dasmon_listener_pid")
    assert own.samples >= 1
    name = f"autoreducer.{site.broker}.sns.gov"
    ack = "/topic/SNS.COMMON.STATUS.ACK"
    asked = {"reply_to": ack, "request_time": time.time() - 0.5}
    site.send(
        ack,
        {**asked, "src_name": name, "role": "postprocessing", "status": "0", "pid": "2201"},
    )

    def has_answered() -> bool:
        component = site.component("common", name)
        return component is not None and component[2]

    assert site.await_true(has_answered)
    for frame in site.client.frames:
        if frame.destination.endswith("COMMON.STATUS.PING"):
            assert frame.body["reply_to"] == ack
            assert frame.body["request_time"] == pytest.approx(time.time(), abs=600)
            assert frame.headers.get("persistent", "false") == "false"


def test_a_ping_is_sent_when_the_listener_begins(site: Site) -> None:
    """To agents that were there before it; the client of this test subscribed first."""
    pings = [each for each in site.client.frames if each.destination.endswith(PING[7:])]
    assert pings or site.client.wait_for(
        lambda: any(each.destination.endswith(PING[7:]) for each in site.client.frames), 130
    )


def test_answers_that_are_none(site: Site) -> None:
    topic = "/topic/HFIR.COMMON.STATUS.ACK"
    site.send(topic, {"src_name": "odd", "request_time": "yesterday"})
    site.send(topic, "no JSON")
    site.send(topic, {"src_name": "fine.ornl.gov", "request_time": time.time(), "pid": "1"})
    assert site.await_true(lambda: site.component("common", "fine.ornl.gov") is not None)
    assert site.unread(topic)
