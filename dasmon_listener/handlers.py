"""From deliveries to what waits, and from there into the database."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction

from dasmon_listener import alarms, services
from dasmon_listener.domain.topics import UnusableTopicError, read_topic
from dasmon_listener.intake import Batch, Intake, Taken, Unread
from dasmon_listener.protocol.codec import UnreadableError, decode
from dasmon_listener.protocol.messages import PvReadings, RunNote, StatusValues
from dasmon_listener.series import Register
from dasmon_listener.tally import Tally
from workflow_manager.broker.ports import Delivery
from workflow_manager.handlers import database_answers, is_database_away, is_suspicious

log = logging.getLogger(__name__)

# A batch that fails is divided into so many.
_PARTS = 8

# So often a batch may end our session, while the database answers, until it is divided.
_ATTEMPTS = 3

# Of one transaction, about: what comes in between waits no longer than that takes.
_MOST_VALUES = 50_000


class DatabaseAwayError(Exception):
    """The database does not answer: nothing was written."""


@dataclass(slots=True)
class _Sorted:
    telemetry: list[Taken] = field(default_factory=list)
    notable: list[Taken] = field(default_factory=list)
    settled: list[Delivery] = field(default_factory=list)
    unread: int = 0
    run_notes: int = 0


def take_in(
    deliveries: Sequence[Delivery], intake: Intake, tally: Tally, adara_instrument: str = ""
) -> list[Delivery]:
    """Read what came and let it wait. Return what may be acknowledged at once.

    That is all but signals and signs of life, which are acknowledged when they are written.
    """
    now = time.time()
    found = _Sorted()
    for delivery in deliveries:
        try:
            _sort(delivery, found, now, adara_instrument)
        except (UnusableTopicError, UnreadableError) as problem:
            found.unread += 1
            found.settled.append(delivery)
            intake.put_unread(Unread(delivery.destination, str(problem), delivery.body))
    replaced = intake.put(found.telemetry, found.notable, now)
    tally.came(len(deliveries), found.unread, found.run_notes)
    return found.settled + [each.delivery for each in replaced if each.delivery is not None]


def _sort(delivery: Delivery, found: _Sorted, now: float, adara_instrument: str) -> None:
    topic = read_topic(delivery.destination, adara_instrument)
    message = decode(topic, delivery.body, datetime.fromtimestamp(now, UTC))
    if isinstance(message, StatusValues | PvReadings):
        found.telemetry.append(Taken(message, now, delivery.destination, delivery.body))
        found.settled.append(delivery)
    elif isinstance(message, RunNote):
        found.run_notes += 1
        found.settled.append(delivery)
    else:
        found.notable.append(Taken(message, now, delivery.destination, delivery.body, delivery))


class Writer:
    """Writes batches, each in a transaction, and remembers what is not written yet.

    What the database refuses is divided until only the bad message is left, which becomes an
    unread one. Nothing is written twice: whether a transaction whose end nobody heard of was
    committed is asked before it is tried again.
    """

    def __init__(
        self,
        intake: Intake,
        tally: Tally,
        register: Register,
        settle: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._intake = intake
        self._tally = tally
        self._register = register
        self._settle = settle
        self._pending: deque[Batch] = deque()
        self._mark: UUID | None = None
        self._blamed = 0

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def fill(self) -> None:
        """Take what waits, if nothing is in hand."""
        if not self._pending:
            batch = self._intake.take(_MOST_VALUES)
            if not batch.is_empty:
                self._pending.append(batch)

    def flush(self) -> None:
        """Write what is in hand, and acknowledge it.

        Raises:
            DatabaseAwayError: what is left is written by the next call.
        """
        while self._pending:
            batch = self._pending[0]
            if self._is_written(batch):
                self._pending.popleft()
                notable = [each.delivery for each in batch.notable]
                self._settle([each for each in notable if each is not None])

    def _is_written(self, batch: Batch) -> bool:
        """Write it; False if it was refused and there are parts of it instead."""
        try:
            if not self._was_committed():
                self._write(batch)
        except Exception as error:
            # Whatever is wrong with a message, or with us, must not stop the listener: the message
            # is kept with the reason, and the log has the traceback.
            self._register.forget()
            if is_database_away(error) and not self._is_to_blame(error):
                raise DatabaseAwayError(str(error)) from error
            self._replace(batch, _parts(batch, error))
            if is_database_away(error):
                raise DatabaseAwayError(str(error)) from error
            return False
        self._mark, self._blamed = None, 0
        self._tally.wrote(batch.values, _lag(batch))
        return True

    def _replace(self, batch: Batch, parts: Sequence[Batch]) -> None:
        self._mark, self._blamed = None, 0
        self._pending.remove(batch)
        self._pending.extendleft(reversed(parts))

    def _is_to_blame(self, error: Exception) -> bool:
        """Whether the batch, and not the server, has ended our session again and again."""
        if is_suspicious(error) and database_answers():
            self._blamed += 1
        return self._blamed >= _ATTEMPTS

    def _write(self, batch: Batch) -> None:
        with transaction.atomic():
            self._mark = services.mark_batch()
            stored = services.store(batch, self._register)
            if stored.signals:
                alarms.receive(stored.signals, datetime.now(UTC))

    def _was_committed(self) -> bool:
        """Whether the transaction before, whose end is unknown, did its work after all."""
        return self._mark is not None and services.is_written(self._mark)


def _lag(batch: Batch) -> float | None:
    """Seconds since the oldest message of the batch came."""
    arrivals = [each.received_at for each in batch.taken]
    return max(0.0, time.time() - min(arrivals)) if arrivals else None


def _parts(batch: Batch, error: Exception) -> list[Batch]:
    """What to try instead of a batch that was refused."""
    taken = batch.taken
    if not taken:
        return _single_notes(batch, error)
    rest = Batch(gaps=batch.gaps, unread=batch.unread)
    if len(taken) == 1 and rest.is_empty:
        return [_given_up(taken[0], error)]
    log.warning("A batch of %d messages is refused and divided: %s", len(taken), error)
    size = -(-len(taken) // _PARTS)
    parts = [_batch_of(taken[start : start + size]) for start in range(0, len(taken), size)]
    return parts if rest.is_empty else [rest, *parts]


def _single_notes(batch: Batch, error: Exception) -> list[Batch]:
    """Gaps and unread messages each by itself; one that is alone already is only in the log."""
    notes = [Batch(gaps=[each]) for each in batch.gaps]
    notes += [Batch(unread=[each]) for each in batch.unread]
    if len(notes) == 1:
        log.error("A gap or an unread message cannot be written down: %r", batch, exc_info=error)
        return []
    return notes


def _batch_of(taken: Iterable[Taken]) -> Batch:
    batch = Batch()
    for each in taken:
        is_telemetry = isinstance(each.message, StatusValues | PvReadings)
        (batch.telemetry if is_telemetry else batch.notable).append(each)
    return batch


def _given_up(taken: Taken, error: Exception) -> Batch:
    log.error("A message on %.200s cannot be kept", taken.destination, exc_info=error)
    words = f"It cannot be kept: {str(error) or type(error).__name__}"
    if taken.delivery is not None:
        taken.delivery.ack()
    return Batch(unread=[Unread(taken.destination, words, taken.body)])
