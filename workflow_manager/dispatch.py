"""Lets jobs go that wait in the database: as many as fit, fresh runs first, in fair shares."""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager import rows
from workflow_manager.domain import leases
from workflow_manager.doorbell import Doorbell
from workflow_manager.ledger import JobRecord
from workflow_manager.protocol.messages import body_of_run
from workflow_manager.rows import Event
from workflow_manager.services import CHANGES, JOBS, OUTBOX, notify
from workflow_manager.sql import DISPATCH

log = logging.getLogger(__name__)

# Of the slots of all agents, what batches may take: the rest is free for what is measured now.
_BULK_SHARE = 0.75

# Jobs of batches under way where no agent tells of itself.
_BULK_WITHOUT_AGENTS = 2

# Jobs let go in one transaction.
_MOST = 500


def release() -> int:
    """Let the next jobs go to the outbox; return how many.

    Of several managers one does it at a time; the others find nothing to do.

    Raises:
        django.db.Error: nothing was let go.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _one(cursor, "is_anything_held") or not _one(cursor, "only_one"):
            return 0
        jobs = _lock(cursor, _next(cursor))
        if jobs:
            _send(cursor, jobs)
        cursor.execute(DISPATCH["finish_batches"])
        finished = [f"batch {number}" for (number,) in cursor.fetchall()]
        notify(cursor, CHANGES, finished)
        return len(jobs)


def run(database: str, stop: threading.Event) -> None:
    """Let jobs go until `stop` is set, whenever room is made; a lost notice costs a second."""
    while not stop.is_set():
        try:
            with closing(Doorbell(database, JOBS)) as doorbell:
                while not stop.is_set():
                    while release():
                        pass
                    doorbell.wait(seconds=1)
        except (DatabaseError, psycopg.Error) as error:
            log.warning("Held jobs wait for the database: %s", error)
            connection.close()
        stop.wait(0 if stop.is_set() else 1)
    connection.close()


def _one(cursor: CursorWrapper, name: str, **values: Any) -> Any:
    cursor.execute(DISPATCH[name], values)
    row = cursor.fetchone()
    return row[0] if row else None


def _next(cursor: CursorWrapper) -> list[int]:
    room = _one(cursor, "bulk_room", share=_BULK_SHARE) or _BULK_WITHOUT_AGENTS
    cursor.execute(DISPATCH["next"], {"bulk_room": room, "most": _MOST})
    return [number for (number,) in cursor.fetchall()]


def _lock(cursor: CursorWrapper, ids: list[int]) -> list[Mapping[str, Any]]:
    """These jobs, ours until the transaction ends, less those that were cancelled meanwhile."""
    if not ids:
        return []
    cursor.execute(DISPATCH["lock_runs"], {"ids": ids})
    cursor.execute(DISPATCH["lock_jobs"], {"ids": ids})
    columns = [column.name for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _send(cursor: CursorWrapper, jobs: Sequence[Mapping[str, Any]]) -> None:
    now = datetime.now(UTC)
    rows.add_events(cursor, [_sent_event(job, now) for job in jobs])
    ids = [job["id"] for job in jobs]
    cursor.execute(DISPATCH["release"], {"ids": ids, "seconds": leases.WAIT.total_seconds()})
    notify(cursor, OUTBOX)
    notify(cursor, CHANGES, sorted({f"run {job['instrument']}/{job['number']}" for job in jobs}))
    notify(cursor, CHANGES, sorted({f"instrument {job['instrument']}" for job in jobs}))


def _sent_event(job: Mapping[str, Any], now: datetime) -> Event:
    record = JobRecord(
        job_id=job["id"],
        step=job["step"],
        attempt=job["attempt"],
        queue=job["queue"],
        requested_by=job["requested_by"],
        requested_at=job["requested_at"],
        priority=job["priority"],
    )
    body = json.loads(job["held_body"]) if job["held_body"] else _body(job)
    return Event(job["run_id"], job["queue"], "", now, None, record, "", "", body)


def _body(job: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("facility", "instrument", "proposal", "number", "data_file")
    return body_of_run(**{name: job[name] for name in columns})
