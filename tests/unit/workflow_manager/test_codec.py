"""Any bytes give a message or a rejection with a reason; nothing else."""

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings

from tests.corpus import BODIES, Body, Rejection, Run, frames
from tests.corpus.verdict import verdict
from workflow_manager.protocol.codec import DecodeError, decode, encode, facility_path, sent_at
from workflow_manager.protocol.messages import JobReference, RunMessage

ROOT = PurePosixPath("/demo/facility")
QUEUE = "/queue/POSTPROCESS.DATA_READY"
GOOD: dict[str, Any] = {
    "facility": "SNS",
    "instrument": "ARCS",
    "ipts": "IPTS-27800",
    "run_number": "214583",
    "data_file": "/SNS/ARCS/IPTS-27800/nexus/ARCS_214583.nxs.h5",
}


def decoded(body: bytes | dict[str, Any], destination: str = QUEUE) -> RunMessage:
    return decode(destination, body if isinstance(body, bytes) else json.dumps(body).encode(), ROOT)


def reason(body: bytes | dict[str, Any], destination: str = QUEUE) -> str:
    with pytest.raises(DecodeError) as caught:
        decoded(body, destination)
    return caught.value.reason


@pytest.mark.parametrize(
    ("path", "instrument", "run_number"),
    [
        ("/SNS/EQSANS/IPTS-1/0/5/NeXus/EQSANS_5_event.nxs", "eqsans", 5),
        ("/SNS/REF_L/IPTS-33077/nexus/REF_L_214746.nxs.h5", "ref_l", 214746),
        ("/HFIR/CG2/IPTS-9/exp7/CG2_000123.nxs.h5", "cg2", 123),
        ("/demo/facility/SNS/REF_M/IPTS-1/nexus/REF_M_42.nxs.h5", "ref_m", 42),
    ],
)
def test_a_bare_path_says_all_of_a_run(path: str, instrument: str, run_number: int) -> None:
    message = decoded(path.encode())
    assert (message.instrument, message.run_number) == (instrument, run_number)
    assert message.data_file == path.removeprefix("/demo/facility")
    assert message.body["run_number"] == run_number


def test_the_facility_root_may_stand_in_front_in_json_too() -> None:
    message = decoded({**GOOD, "data_file": str(ROOT) + GOOD["data_file"]})
    assert message.data_file == GOOD["data_file"]
    assert facility_path("/demo/facility2/x", ROOT) == "/demo/facility2/x"


def test_numbers_may_be_texts_and_unknown_keys_are_kept() -> None:
    message = decoded({**GOOD, "src_id": "STC_1", "job_id": "7", "attempt": 2})
    assert message.run_number == 214583
    assert message.job == JobReference(7, 2)
    assert message.body["src_id"] == "STC_1"
    assert (message.instrument, message.proposal) == ("arcs", "IPTS-27800")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instrument": None}, "instrument is null"),
        ({"instrument": "../../etc"}, "not a name"),
        ({"instrument": ["ARCS"]}, "not a text"),
        ({"ipts": "IPTS-1/../.."}, "not a name"),
        ({"ipts": ".."}, "not a name"),
        ({"run_number": None}, "run_number is null"),
        ({"run_number": True}, "not a whole number"),
        ({"run_number": -1}, "not a whole number"),
        ({"run_number": 2**63}, "not a whole number"),
        ({"run_number": 1.5}, "not a whole number"),
        ({"run_number": "12; DROP TABLE"}, "not a whole number"),
        ({"data_file": 5}, "data_file is 5, not a path"),
        ({"data_file": ""}, "data_file is missing"),
        ({"data_file": "/" * 5000}, "no path is that long"),
        ({"facility": "/SNS"}, "not a name"),
        ({"x": "a\0b"}, "NUL"),
        ({"x": "\ud800"}, "surrogate"),
    ],
)
def test_wrong_values_are_rejected_in_words(change: dict[str, Any], said: str) -> None:
    assert said in reason({**GOOD, **change})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty"),
        (b"hello", "neither JSON"),
        (b"\xff\xfe", "UTF-16"),
        (b"42", "is a number, not an object"),
        (b"[1, 2]", "is a list, not an object"),
        (b'{"a": NaN}', "a is NaN, which is no JSON number"),
        (b'{"a": 1e999}', "too large"),
        (b"[" * 100_000, "100 levels"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, "100 levels"),
        (b"/SNS/ARCS", "too short"),
        (b"/SNS/ARCS/IPTS-1/nexus/CNCS_5.nxs.h5", "no run number"),
        (b"/SNS/ARCS/IPTS-1/nexus/ARCS_5\0.nxs", "U+0000"),
    ],
)
def test_what_is_no_message_is_rejected_in_words(body: bytes, said: str) -> None:
    assert said in reason(body)


def test_sms_names_its_instrument_in_the_topic() -> None:
    body = {"run_number": "1", "msg_type": "9", "reason": "SMS run started", "ipts": "IPTS-1"}
    message = decoded({**body, "instrument": "BL18"}, "/topic/SNS.ARCS.APP.SMS")
    assert (message.queue, message.instrument) == ("SMS", "arcs")
    assert message.information == "SMS run started"
    assert "lacks reason" in reason({"run_number": 1, "msg_type": 1, "ipts": "I"}, "SNS.A.APP.SMS")


def test_the_senders_time_comes_from_body_or_header() -> None:
    seconds = sent_at({"timestamp": "1771500000"}, {})
    milliseconds = sent_at({}, {"timestamp": "1771500000000"})
    assert seconds == milliseconds
    assert sent_at({"timestamp": "1e300"}, {"timestamp": "soon"}) is None


def test_only_strict_json_is_sent() -> None:
    assert json.loads(encode({"a": "µ"})) == {"a": "µ"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"a": float("nan")})


def found_in(body: Body) -> Run | str:
    """The run that a body is about, or the reason why it is about none."""
    found = verdict(body.destination, body.make())
    if isinstance(found, str):
        return found
    return Run(found.instrument, found.run_number, found.proposal, found.facility, found.data_file)


def is_as_expected(body: Body, found: Run | str) -> bool:
    if isinstance(body.expected, Rejection):
        return isinstance(found, str) and body.expected.words in found
    return found == body.expected


def test_each_body_of_the_corpus_is_the_run_or_the_rejection_that_it_should_be() -> None:
    others = [
        (body.name, body.expected, found)
        for body in BODIES
        if not is_as_expected(body, found := found_in(body))
    ]
    assert others == []


def test_the_corpus_names_each_body_once_and_each_run_under_one_proposal() -> None:
    assert len({body.name for body in BODIES}) == len(BODIES) >= 150
    runs = [body.expected for body in BODIES if isinstance(body.expected, Run)]
    proposals = {(run.instrument, run.number, run.proposal) for run in runs}
    assert len(proposals) == len({(run.instrument, run.number) for run in runs})


@settings(settings.get_profile("short"))
@given(frames.destinations, frames.any_frame)
def test_any_bytes_are_a_message_or_a_rejection(destination: str, content: bytes) -> None:
    verdict(destination, content)


@pytest.mark.parametrize("bad", [b"NaN", b"1" * 4301, b'"\\ud800"', b"9" * 199 + b"9e110"])
def test_what_is_looked_for_in_suspicious_texts_only_is_found(bad: bytes) -> None:
    content = json.dumps({**GOOD, "title": 7}).encode().replace(b"7}", bad + b"}")
    assert reason(content).startswith("title ")
