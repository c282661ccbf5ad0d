"""Heartbeats, pings and answers: what is read, and what is refused."""

import json

import pytest

from postprocessing import presence
from workflow_manager.protocol import signs
from workflow_manager.protocol.signs import LARGEST, NoSignError, Sign


def test_an_agent_in_the_field_and_one_of_ours() -> None:
    old = b'{"src_name": "autoreducer4.sns.gov", "role": "postprocessing", "status": "0", "pid": 1}'
    assert signs.read_sign(old) == Sign("autoreducer4.sns.gov", "1", None)
    ours = presence.heartbeat("/topic/T", "node7", slots=5)
    assert signs.read_sign(ours.body) == Sign("node7", signs.read_sign(ours.body).pid, 5)


def test_our_ping_has_the_contracts_form_and_our_agent_answers_it() -> None:
    ping = signs.ping(1771500000.123)
    assert json.loads(ping) == {
        "reply_to": "/topic/SNS.COMMON.STATUS.WORKFLOW.ACK",
        "request_time": 1771500000.123,
    }
    assert signs.is_ours(ping)
    answer = presence.answer(ping, "node7", slots=3)
    assert answer is not None
    assert answer.destination == "/topic/SNS.COMMON.STATUS.WORKFLOW.ACK"
    assert signs.read_sign(answer.body).slots == 3


def test_a_ping_is_answered_with_what_came_and_our_card() -> None:
    ping = {"reply_to": "/topic/SNS.COMMON.STATUS.ACK", "request_time": 1.5, "other": [1]}
    answer = signs.answer(json.dumps(ping).encode(), {"src_name": "workflowmgr", "pid": "7"})
    assert answer is not None
    assert answer[0] == "/topic/SNS.COMMON.STATUS.ACK"
    assert json.loads(answer[1]) == {**ping, "src_name": "workflowmgr", "pid": "7"}
    assert signs.answer(b"{}", {}) is None


@pytest.mark.parametrize(
    "destination",
    [
        "/queue/REDUCTION.DATA_READY",
        "REDUCTION.DATA_READY",
        "/topic/SNS.ARCS.APP.DASMON",
        "/topic/A.ACK\nx:y",
        "/topic/../queue/A.ACK",
        7,
    ],
)
def test_a_ping_cannot_make_us_send_anywhere(destination: object) -> None:
    with pytest.raises(NoSignError, match="where no answer may go"):
        signs.answer(json.dumps({"reply_to": destination}).encode(), {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"src_name": ""}',
        b'{"src_name": 5}',
        b'{"src_name": "../etc"}',
        b'{"src_name": "a b"}',
        b'{"src_name": "a\\u0000"}',
        b'{"src_name": "\\udc00"}',
        b'{"src_name": "' + b"a" * 300 + b'"}',
        b'{"a": ' + b"[" * 7000 + b"]" * 7000 + b"}",
        b'{"src_name": "a", "pad": "' + b"x" * LARGEST + b'"}',
    ],
)
def test_what_is_no_sign_is_refused(body: bytes) -> None:
    with pytest.raises(NoSignError):
        signs.read_sign(body)


@pytest.mark.parametrize("slots", ["-1", "0", "many", "1e3", "99999999999999", None, [4], True])
def test_slots_that_are_none_are_not_believed(slots: object) -> None:
    body = json.dumps({"src_name": "a", "slots": slots, "pid": {"a": 1}}).encode()
    assert signs.read_sign(body) == Sign("a", "", None)


@pytest.mark.parametrize("ping", [b'{"reply_to": "/topic/A.ACK", "request_time": NaN}'])
def test_what_json_cannot_say_is_not_answered(ping: bytes) -> None:
    with pytest.raises(NoSignError, match="JSON"):
        signs.answer(ping, {})
