"""Sends what the outbox holds: after the commit that wanted it, before it is forgotten."""

import logging
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager.broker.ports import (
    BrokerError,
    MessageRefusedError,
    OutgoingMessage,
    Publisher,
)
from workflow_manager.domain.priorities import FRESH
from workflow_manager.domain.steps import Phase
from workflow_manager.doorbell import Doorbell
from workflow_manager.services import CHANGES, JOBS, OUTBOX, changed_keys, notify
from workflow_manager.sql import BATCHES, DISPATCH, RECORD
from workflow_manager.sql import OUTBOX as STATEMENTS

log = logging.getLogger(__name__)

_MESSAGES = 500
_BYTES = 8 * 1024 * 1024


class _Row(NamedTuple):
    number: int
    job_id: int | None
    message: OutgoingMessage


# Artemis drops a message whose value it has seen, and confirms it; other brokers pass it on.
DUPLICATE_ID = "_AMQ_DUPL_ID"


class Relay:
    """Moves messages from the outbox to the broker, in order, each until it is confirmed.

    A message is deleted in the transaction that sent it. A crash between the broker's receipt and
    the commit sends it again. Artemis refuses such a batch as a whole, drops what it has when the
    messages then come one by one, and takes the others. Elsewhere the second copy arrives: agents
    know a job by its number and attempt.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def drain(self) -> int:
        """Send all that is there; return how many were sent.

        Raises:
            BrokerError: what was not confirmed is still in the outbox.
            django.db.Error: the database is away.
        """
        total = 0
        while sent := self._send_batch():
            total += sent
        return total

    def _send_batch(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            rows = _oldest(cursor)
            if not rows:
                return 0
            try:
                self._publisher.publish([row.message for row in rows])
            except MessageRefusedError:
                self._send_one_by_one(cursor, rows)
            else:
                _mark_sent(cursor, rows)
            return len(rows)

    def _send_one_by_one(self, cursor: CursorWrapper, rows: Sequence[_Row]) -> None:
        """No job is locked while we talk to the broker."""
        sent: list[_Row] = []
        refused: list[tuple[_Row, str]] = []
        for row in rows:
            try:
                self._publisher.publish([row.message])
            except MessageRefusedError as error:
                log.exception("The broker refused a message to %s", row.message.destination)
                refused.append((row, f"The broker refused the job's message: {error}"))
            else:
                sent.append(row)
        if refused:
            cursor.execute(DISPATCH["lock_runs"], {"ids": _job_ids([row for row, _ in refused])})
            run_ids = [run_id for (run_id,) in cursor.fetchall()]
            cursor.execute(RECORD["lock_jobs"], {"ids": _job_ids(rows)})
            _give_up(cursor, refused, run_ids)
        _mark_sent(cursor, sent)


def _give_up(
    cursor: CursorWrapper, refused: Sequence[tuple[_Row, str]], run_ids: Sequence[int]
) -> None:
    """These attempts failed, and so did their runs' steps; the runs and jobs are locked."""
    for row, reason in refused:
        cursor.execute(
            STATEMENTS["refused"],
            {"id": row.number, "failed": Phase.FAILED.value, "reason": reason},
        )
    cursor.execute(BATCHES["update_phases"], {"run_ids": list(run_ids)})
    cursor.execute(STATEMENTS["names"], {"run_ids": list(run_ids)})
    notify(cursor, CHANGES, changed_keys(cursor.fetchall()))
    notify(cursor, JOBS)


def _job_ids(rows: Sequence[_Row]) -> list[int]:
    return sorted(row.job_id for row in rows if row.job_id is not None)


def _oldest(cursor: CursorWrapper) -> list[_Row]:
    cursor.execute(STATEMENTS["oldest"], {"limit": _MESSAGES, "bytes": _BYTES})
    return [
        _Row(number, job_id, _message(destination, body, job_id, priority, identity))
        for number, destination, body, job_id, priority, identity in cursor.fetchall()
    ]


def _mark_sent(cursor: CursorWrapper, rows: Sequence[_Row]) -> None:
    job_ids = _job_ids(rows)
    cursor.execute(STATEMENTS["forget"], {"ids": [row.number for row in rows]})
    cursor.execute(RECORD["lock_jobs"], {"ids": job_ids})
    cursor.execute(STATEMENTS["sent"], {"job_ids": job_ids})


def _message(
    destination: str, body: bytes, job_id: int | None, priority: int, identity: str
) -> OutgoingMessage:
    headers = {DUPLICATE_ID: identity}
    if priority != FRESH:
        headers["priority"] = str(priority)
    if job_id:
        headers["correlation-id"] = f"job {job_id}"
    return OutgoingMessage(destination, bytes(body), headers)


def run(relay: Relay, database: str, stop: threading.Event) -> None:
    """Relay until `stop` is set; a broker or a database that is away is waited for."""
    while not stop.is_set():
        try:
            with closing(Doorbell(database, OUTBOX)) as doorbell:
                while not stop.is_set():
                    relay.drain()
                    doorbell.wait(seconds=1)
        except BrokerError as error:
            log.warning("The outbox waits for the broker: %s", error)
        except (DatabaseError, psycopg.Error) as error:
            log.warning("The outbox waits for the database: %s", error)
            connection.close()
        stop.wait(0 if stop.is_set() else 1)
    connection.close()
