"""Sends what the outbox holds: after the commit that wanted it, before it is forgotten."""

import logging
import threading
from contextlib import closing

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager.broker.ports import (
    BrokerUnavailableError,
    MessageRefusedError,
    OutgoingMessage,
    Publisher,
)
from workflow_manager.domain.steps import Phase
from workflow_manager.services import OUTBOX
from workflow_manager.sql import OUTBOX as STATEMENTS

log = logging.getLogger(__name__)

_BATCH = 500

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
            BrokerUnavailableError: what was not confirmed is still in the outbox.
            django.db.Error: the database is away.
        """
        total = 0
        while sent := self._send_batch():
            total += sent
        return total

    def _send_batch(self) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(STATEMENTS["oldest"], {"limit": _BATCH})
            rows = [(number, _message(*rest)) for number, *rest in cursor.fetchall()]
            if not rows:
                return 0
            try:
                self._publisher.publish([message for _, message in rows])
            except MessageRefusedError:
                self._send_one_by_one(cursor, rows)
            else:
                cursor.execute(STATEMENTS["sent"], {"ids": [number for number, _ in rows]})
            return len(rows)

    def _send_one_by_one(
        self, cursor: CursorWrapper, rows: list[tuple[int, OutgoingMessage]]
    ) -> None:
        for number, message in rows:
            try:
                self._publisher.publish([message])
            except MessageRefusedError as error:
                log.exception("The broker refused a message to %s", message.destination)
                reason = f"The broker refused the job's message: {error}"
                cursor.execute(
                    STATEMENTS["refused"],
                    {"id": number, "failed": Phase.FAILED.value, "reason": reason},
                )
            else:
                cursor.execute(STATEMENTS["sent"], {"ids": [number]})


def _message(destination: str, body: bytes, job_id: int | None, identity: str) -> OutgoingMessage:
    headers = {DUPLICATE_ID: identity}
    if job_id:
        headers["correlation-id"] = f"job {job_id}"
    return OutgoingMessage(destination, bytes(body), headers)


class Doorbell:
    """Waits until somebody wrote to the outbox, here or in another process."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self._connection.execute(f"LISTEN {OUTBOX}")

    def wait(self, seconds: float) -> None:
        """Return when it rang, or after `seconds`: a lost ring costs delay, never a message."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass

    def close(self) -> None:
        self._connection.close()


def run(relay: Relay, database: str, stop: threading.Event) -> None:
    """Relay until `stop` is set; a broker or a database that is away is waited for."""
    while not stop.is_set():
        try:
            with closing(Doorbell(database)) as doorbell:
                while not stop.is_set():
                    relay.drain()
                    doorbell.wait(seconds=1)
        except BrokerUnavailableError as error:
            log.warning("The outbox waits for the broker: %s", error)
        except (DatabaseError, psycopg.Error) as error:
            log.warning("The outbox waits for the database: %s", error)
            connection.close()
        stop.wait(0 if stop.is_set() else 1)
    connection.close()
