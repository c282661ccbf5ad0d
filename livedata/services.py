"""Everything that changes streams."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.utils import timezone

from livedata.models import Stream, StreamMessage
from livedata.sql import STREAMS

PLOT = "plot"
MOST_REMOVED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a stream is kept; its newest message always is."""

    messages: int = 50
    bytes: int = 64 * 1024 * 1024


KEPT = Limits()


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message went."""

    run_number: int
    index: int


def append(
    *,
    instrument: str,
    run_number: int,
    metadata: Mapping[str, Any],
    content: bytes,
    name: str = PLOT,
    expires_at: datetime | None = None,
    kept: Limits = KEPT,
) -> Appended:
    """Add a message to the stream of a run; `expires_at` counts only for a new stream.

    Older messages go when there is more than `kept`.
    """
    identity = {
        "instrument": instrument.lower(),
        "run_number": run_number,
        "name": name,
        "expires_at": expires_at,
    }
    return _append("next_of_run", identity, metadata, content, kept)


def append_user_data(
    *,
    user: str,
    data_id: str,
    metadata: Mapping[str, Any],
    content: bytes,
    name: str = PLOT,
    expires_at: datetime | None = None,
    kept: Limits = KEPT,
) -> Appended:
    """Add a message to a named user's data; the run number to read it with is in the answer."""
    identity = {
        "instrument": user.lower(),
        "data_id": data_id,
        "name": name,
        "expires_at": expires_at,
    }
    return _append("next_of_user", identity, metadata, content, kept)


@transaction.atomic
def _append(
    statement: str,
    identity: Mapping[str, Any],
    metadata: Mapping[str, Any],
    content: bytes,
    kept: Limits,
) -> Appended:
    with connection.cursor() as cursor:
        cursor.execute(STREAMS[statement], identity)
        stream_id, run_number, index = cursor.fetchone()
        message = {
            "stream_id": stream_id,
            "index": index,
            "metadata": json.dumps(metadata),
            "size": len(content),
            "content": content,
        }
        _insert(message)
        limits = {"most_messages": kept.messages, "most_bytes": kept.bytes}
        cursor.execute(STREAMS["prune"], {"stream_id": stream_id, **limits})
        key = f"stream {identity['instrument']}/{run_number}"
        cursor.execute(STREAMS["notify"], {"key": key})
    return Appended(run_number, index)


def _insert(message: Mapping[str, Any]) -> None:
    """Add the row with its bytes as they are; Django's cursors write them out in hexadecimal."""
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(STREAMS["add_message"].encode(), message)


def remove_expired_streams() -> int:
    """Delete what has expired: streams with their messages, and sessions. Counts the streams."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    total = 0
    while removed := _remove_some_expired(now):
        total += removed
    return total


@transaction.atomic
def _remove_some_expired(now: datetime) -> int:
    # Locked before its messages are deleted: a simultaneous upload waits and then starts anew.
    expired = Stream.objects.select_for_update(skip_locked=True).filter(expires_at__lt=now)
    streams = list(expired.values_list("id", flat=True)[:MOST_REMOVED_AT_ONCE])
    StreamMessage.objects.filter(stream_id__in=streams).delete()
    Stream.objects.filter(id__in=streams).delete()
    return len(streams)
