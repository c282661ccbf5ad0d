"""Signs of life on topics: heartbeats and answers to pings; and the pings themselves.

They are telemetry of strangers: small, plain, or not read at all.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

LARGEST = 16 * 1024  # bytes; a sign has a hundred
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_NUMBER = re.compile(r"[0-9]{1,10}")
# Where an answer may go: a ping shall not make us send to a queue.
_ANSWER_TOPIC = re.compile(r"/topic/[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.ACK")
_MOST_SLOTS = 100_000


class NoSignError(ValueError):
    """A body that is no sign of life; the text says why."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Somebody lives: `name` is the host's; `slots` are told by agents of ours only."""

    name: str
    pid: str
    slots: int | None = None


def read_sign(body: bytes) -> Sign:
    """A heartbeat, or an answer to a ping.

    Raises:
        NoSignError: it is neither.
    """
    content = _object(body)
    name = content.get("src_name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise NoSignError(f"src_name is {name!r:.100}, which is not a name")
    pid = _number(content.get("pid"))
    slots = _number(content.get("slots"))
    is_usable = bool(slots) and 0 < int(slots) <= _MOST_SLOTS
    return Sign(name, pid, int(slots) if is_usable else None)


def ping(at: float) -> bytes:
    """The question who is there; `at` is in seconds since 1970."""
    return encode({"reply_to": names.WORKFLOW_ACK, "request_time": at})


def is_ours(body: bytes) -> bool:
    """Whether a ping is a workflow manager's.

    Raises:
        NoSignError: the ping cannot be read.
    """
    return _object(body).get("reply_to") == names.WORKFLOW_ACK


def answer(body: bytes, card: Mapping[str, str]) -> tuple[str, bytes] | None:
    """Where the answer to a ping goes, and the answer: what was received and our card.

    None if it asks for none.

    Raises:
        NoSignError: the ping cannot be read, or it wants the answer where none may go.
    """
    content = _object(body)
    destination = content.get("reply_to")
    if destination in (None, ""):
        return None
    if not isinstance(destination, str) or not _ANSWER_TOPIC.fullmatch(destination):
        raise NoSignError(f"reply_to is {destination!r:.100}, where no answer may go")
    try:
        return destination, encode({**content, **card})
    except ValueError as error:
        raise NoSignError(f"the ping holds what JSON cannot: {error}") from error


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > LARGEST:
        raise NoSignError(f"it has {len(body)} bytes; a sign has at most {LARGEST}")
    try:
        content = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NoSignError(f"it is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise NoSignError(f"it is a {type(content).__name__}, not an object")
    return content


def _number(value: Any) -> str:
    text = str(value) if type(value) in (int, str) else ""
    return text if _NUMBER.fullmatch(text) else ""
