"""What decoding owes for any bytes: a message that can be kept and sent on, or a sentence."""

import json
import re

from tests.corpus.body import FACILITY_ROOT
from workflow_manager.protocol.codec import DecodeError, decode, encode
from workflow_manager.protocol.messages import RunMessage

_LONGEST_REASON = 500
_INSTRUMENT = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PROPOSAL = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,63}")
_FACILITY = re.compile(r"([A-Z][A-Z0-9_-]{0,39})?")
_QUOTED = re.compile(r'"(\\.|[^"\\])*("|…)')
# A sender may call a key `False`.
_PLACE = re.compile(r"^\S+(?= (is|holds) )")
_WORDS_OF_PYTHON = re.compile(
    r"\b(None|NoneType|True|False|dict|list object|str|int|float|codec|Traceback|Error)\b"
)


def verdict(destination: str, content: bytes) -> RunMessage | str:
    """The message, or the reason why there is none; either is as it has to be."""
    try:
        message = decode(destination, content, FACILITY_ROOT)
    except DecodeError as error:
        assert error.body == content
        _check_reason(error.reason)
        return error.reason
    _check_message(message)
    return message


def _check_reason(reason: str) -> None:
    assert len(reason) <= _LONGEST_REASON, len(reason)
    assert reason.isprintable(), reason
    assert reason.endswith("."), reason
    assert not _WORDS_OF_PYTHON.search(_PLACE.sub("", _QUOTED.sub("", reason))), reason


def _check_message(message: RunMessage) -> None:
    assert _INSTRUMENT.fullmatch(message.instrument)
    assert _PROPOSAL.fullmatch(message.proposal)
    assert ".." not in message.proposal
    assert _FACILITY.fullmatch(message.facility)
    assert 0 <= message.run_number < 2**31
    assert ".." not in message.data_file.split("/")
    # PostgreSQL takes no NUL, UTF-8 no half of a pair, JSON no infinity: all three would raise.
    text = encode(message.body).decode("utf-8")
    assert "\\u0000" not in text.replace("\\\\", "")
    assert json.loads(text) == message.body
