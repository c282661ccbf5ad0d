"""Every form of message of the contract, and those that are none."""

import json
import sys
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.topics import read_topic
from dasmon_listener.protocol.codec import UnreadableError, decode, seconds
from dasmon_listener.protocol.messages import (
    Answer,
    Heartbeat,
    Message,
    PvReading,
    PvReadings,
    RunNote,
    ScriptResult,
    Signal,
    StatusValues,
)

NOW = datetime(2026, 2, 19, 11, 20, tzinfo=UTC)
SENT = NOW.timestamp() - 30


def read(name: str, body: Any) -> Message:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(read_topic(f"/topic/{name}"), content, NOW)


def values(body: Any) -> dict[str, str]:
    message = read("SNS.ARCS.APP.DASMON", body)
    assert isinstance(message, StatusValues)
    return dict(message.values)


def test_values_of_dasmon_with_strings() -> None:
    body = {
        "msg_type": "2696937472",
        "src_id": "DASMON_0",
        "timestamp": "1771500001",
        "count_rate": "90210.4",
        "monitors": {"1": "100", "2": "2000"},
    }
    message = read("SNS.ARCS.APP.DASMON", body)
    assert isinstance(message, StatusValues)
    assert message.at == 1771500001
    assert message.values == {
        "msg_type": "2696937472",
        "src_id": "DASMON_0",
        "timestamp": "1771500001",
        "count_rate": "90210.4",
        "monitor_count_1": "100",
        "monitor_count_2": "2000",
    }


def test_native_values_are_as_python_writes_them_and_numbers_as_they_came() -> None:
    body = b"""{"recording": true, "paused": false, "x": null, "list": [1, "two", 3.50],
        "total_charge": 3.03988e+10, "run_number": 324, "far": NaN, "deep": {"a": 1}}"""
    assert values(body) == {
        "recording": "True",
        "paused": "False",
        "x": "None",
        "list": "[1, 'two', 3.5]",
        "total_charge": "3.03988e+10",
        "run_number": "324",
        "far": "NaN",
        "deep": "{'a': 1}",
    }


def test_a_body_is_read_twice_at_most_however_many_lists_it_holds() -> None:
    """Once for each list took an hour for a body of the size that is allowed."""
    reads = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal reads
        reads += event == "call" and frame.f_code.co_name == "raw_decode"

    body = json.dumps({f"x{number}": [number] for number in range(100)}).encode()
    sys.setprofile(count)
    try:
        found = values(body)
    finally:
        sys.setprofile(None)
    assert found == {f"x{number}": f"[{number}]" for number in range(100)}
    assert reads == 2


def test_monitors_in_all_their_forms() -> None:
    assert values({"monitors": {"beam": {"id": 3, "counts": 812}, "8": 5}}) == {
        "beam_count_3": "812",
        "monitor_count_8": "5",
    }
    assert values({"monitors": ""}) == {"monitors": ""}


def test_nothing_is_cut() -> None:
    title, name = "T" * 5_000, "n" * 300
    assert values({name: title}) == {name: title}


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (1771500000, 1771500000.0),
        ("1771500000.25", 1771500000.25),
        (1771500000250, 1771500000.25),
        ("1771500000250000", 1771500000.25),
        (1771500000250000000, 1771500000.25),
        (0, None),
        (-5, None),
        ("soon", None),
        (True, None),
        (None, None),
        ("inf", None),
        ([1], None),
    ],
)
def test_times_of_senders(told: object, at: float | None) -> None:
    found = seconds(told)
    assert found == (None if at is None else pytest.approx(at, abs=1e-6))


@pytest.mark.parametrize(
    ("topic", "body", "name", "status", "pid"),
    [
        ("SNS.ARCS.STATUS.DASMON", {"src_name": "dasmon", "status": "0"}, "dasmon", "0", None),
        ("SNS.ARCS.STATUS.DASMON", {"src_id": "DASMON_0", "status": 0}, "dasmon", "0", None),
        ("SNS.ARCS.STATUS.PVSD", {"src_name": "PVSD.0", "status": "2"}, "pvsd", "2", None),
        ("SNS.ARCS.STATUS.SMS", {"src_id": "SMS_32162", "status": "0"}, "sms", "0", None),
        ("SNS.ARCS.STATUS.STS", {"status": 1}, "sts", "1", None),
        ("SNS.ARCS.STATUS.STC", {"status": "3", "pid": 4}, "stc", "3", None),
        (
            "SNS.COMMON.STATUS.WORKFLOW.0",
            {"src_name": "workflowmgr", "status": "0", "pid": "17"},
            *("workflowmgr", "0", "17"),
        ),
        (
            "SNS.COMMON.STATUS.AUTOREDUCE.0",
            {"src_name": "autoreducer4.sns.gov", "role": "x", "status": "0", "pid": 2201},
            *("autoreducer4.sns.gov", "0", "2201"),
        ),
    ],
)
def test_signs_of_life(
    topic: str, body: dict[str, Any], name: str, status: str, pid: str | None
) -> None:
    message = read(topic, body)
    assert isinstance(message, Heartbeat)
    assert (message.name, message.status, message.pid) == (name, status, pid)


def test_what_became_of_a_script() -> None:
    said = {"src_id": "postprocessing", "status": "Created ARCS reduction script"}
    message = read("SNS.ARCS.STATUS.POSTPROCESS", said)
    assert isinstance(message, ScriptResult)
    assert (message.name, message.text) == ("postprocessing", "Created ARCS reduction script")


def test_a_signal_is_asserted_and_retracted() -> None:
    body = {
        "timestamp": str(SENT),
        "sig_name": "SID_SVP_HIGH",
        "sig_source": "DAS",
        "sig_message": "SV pressure too high",
        "sig_level": "3",
    }
    sent_at = datetime.fromtimestamp(SENT, UTC)
    asserted = read("SNS.ARCS.SIGNAL.DASMON", body)
    assert isinstance(asserted, Signal)
    assert asserted.report == SignalReport(
        "arcs", "SID_SVP_HIGH", Level.WARNING, "DAS", "SV pressure too high", sent_at
    )
    retracted = read("SNS.ARCS.SIGNAL.DASMON", {"sig_name": "SID_SVP_HIGH"})
    assert isinstance(retracted, Signal)
    assert retracted.report == SignalReport("arcs", "SID_SVP_HIGH", None, "", "", NOW)


def test_an_answer_to_a_ping() -> None:
    body = {"src_name": "autoreducer4.sns.gov", "pid": "2201", "status": "0", "request_time": SENT}
    message = read("HFIR.COMMON.STATUS.ACK", body)
    assert isinstance(message, Answer)
    assert (message.name, message.asked_at) == ("autoreducer4.sns.gov", SENT)


def test_pvs_in_bulk() -> None:
    body = {
        "timestamp": SENT,
        "values": [
            {"name": "BL18:SE:SampleTemp", "value": 300.0, "status": 0, "timestamp": SENT + 1},
            {"name": "chopper", "value": "2.09e6", "status": "1"},
            {"name": "state", "value": "opened", "timestamp": f"{int(SENT)}000"},
            {"name": "is_on", "value": True},
            {"name": "unknown", "value": None, "status": 2**40},
        ],
    }
    message = read("SNS.ARCS.APP.PV", body)
    assert isinstance(message, PvReadings)
    assert message.readings == [
        PvReading("BL18:SE:SampleTemp", "300", 0, SENT + 1),
        PvReading("chopper", "2.09e6", 1, SENT),
        PvReading("state", "opened", None, SENT),
        PvReading("is_on", "True", None, SENT),
        PvReading("unknown", None, None, SENT),
    ]


def test_run_notes_are_the_workflow_managers() -> None:
    assert isinstance(read("SNS.ARCS.APP.SMS", b"whatever"), RunNote)


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("SNS.ARCS.APP.DASMON", b"", "no JSON"),
        ("SNS.ARCS.APP.DASMON", b"{", "no JSON"),
        ("SNS.ARCS.APP.DASMON", b"[1]", "no object"),
        ("SNS.ARCS.APP.DASMON", b"\xff\xfe{", "not UTF-8"),
        ("SNS.ARCS.APP.DASMON", b"[" * 100_000, "nested too deeply"),
        ("SNS.ARCS.APP.DASMON", b'{"a": "\\u0000"}', "NUL"),
        ("SNS.ARCS.APP.DASMON", b'{"\\ud800": 1}', "NUL"),
        ("SNS.ARCS.APP.DASMON", b'{"%s": 1}' % (b"n" * 2_001), "more than 2000 bytes"),
        ("SNS.ARCS.APP.DASMON", b" " * 2**21, "more than 1048576 bytes"),
        ("SNS.ARCS.STATUS.SMS", b"{}", "no status"),
        ("SNS.ARCS.STATUS.DASMON", b'{"status": 0}', "neither src_id nor src_name"),
        ("SNS.ARCS.STATUS.DASMON", b'{"src_id": [7], "status": 0}', "neither"),
        ("SNS.ARCS.SIGNAL.DASMON", b'{"sig_level": 3}', "no sig_name"),
        ("SNS.ARCS.SIGNAL.DASMON", b'{"sig_name": "a", "sig_level": 6}', "from 0 to 5"),
        ("SNS.ARCS.SIGNAL.DASMON", b'{"sig_name": "a", "sig_level": ""}', "from 0 to 5"),
        ("SNS.ARCS.SIGNAL.DASMON", b'{"sig_name": "a", "sig_level": 3, "timestamp": 9}', "hour"),
        ("SNS.ARCS.APP.PV", b"{}", 'no list "values"'),
        ("SNS.ARCS.APP.PV", b'{"values": [{"name": "a"}]}', "one is no object"),
        ("SNS.ARCS.APP.PV", b'{"values": [7]}', "one is no object"),
    ],
)
def test_what_is_no_message_says_why(topic: str, body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read(topic, body)


def test_a_retraction_counts_however_old_it_is() -> None:
    message = read("SNS.ARCS.SIGNAL.DASMON", {"sig_name": "a", "timestamp": 9})
    assert isinstance(message, Signal)
    assert message.report.level is None
