"""Values of the pages about messages that could not be handled."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass

from workflow_manager import selectors
from workflow_manager.models import RejectedMessage
from workflow_manager.selectors import Position

ROWS = 50
SHOWN_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class RejectedRow:
    id: int
    destination: str
    reason: str
    received_at: dt.datetime
    size: int


@dataclass(frozen=True, slots=True)
class RejectedListPage:
    """Newest first; `older` is the `before` of the next part, empty at the end."""

    rows: tuple[RejectedRow, ...]
    is_first_part: bool
    older: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """`pretty` is empty unless the body is JSON; `raw` shows every byte, odd ones escaped."""

    id: int
    destination: str
    message_id: str
    reason: str
    received_at: dt.datetime
    headers: Mapping[str, str]
    size: int
    pretty: str
    raw: str
    is_cut: bool


def rejected_list_page(older_than: Position | None, now: dt.datetime) -> RejectedListPage:
    found = selectors.rejected_messages(limit=ROWS + 1, older_than=older_than)
    shown = found[:ROWS]
    last = shown[-1] if len(found) > ROWS else None
    older = f"{last.received_at.isoformat()}~{last.id}" if last else ""
    return RejectedListPage(tuple(map(_row, shown)), older_than is None, older, now)


def rejected_page(message: RejectedMessage) -> RejectedPage:
    body = bytes(message.body)
    return RejectedPage(
        id=message.id,
        destination=message.destination,
        message_id=message.message_id,
        reason=message.reason,
        received_at=message.received_at,
        headers=message.headers,
        size=len(body),
        pretty=_pretty(body),
        raw=visible(body[:SHOWN_BYTES]),
        is_cut=len(body) > SHOWN_BYTES,
    )


def visible(body: bytes) -> str:
    """The bytes as text in which nothing hides: what is not printable UTF-8 is escaped."""
    text = body.decode("utf-8", "backslashreplace")
    return "".join(letter if _shows(letter) else _escaped(letter) for letter in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _pretty(body: bytes) -> str:
    if len(body) > SHOWN_BYTES:
        return ""
    try:
        return visible(json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode())
    except (ValueError, RecursionError):
        return ""


def _row(message: RejectedMessage) -> RejectedRow:
    return RejectedRow(
        message.id, message.destination, message.reason, message.received_at, len(message.body)
    )
