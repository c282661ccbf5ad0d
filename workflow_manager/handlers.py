"""From deliveries to services: what the process reacts to, and what it does with the rest."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from django.db import Error, InterfaceError, OperationalError

from workflow_manager import services
from workflow_manager.broker.ports import Delivery
from workflow_manager.protocol.codec import DecodeError, decode, sent_at
from workflow_manager.services import Received, Rejection

log = logging.getLogger(__name__)

# Bytes of one transaction: a batch is bounded by what it weighs, not only by its number.
_HEAVIEST_BATCH = 8 * 1024 * 1024

# SQLSTATEs that say that the server is in trouble, or we were too slow, and not the statement:
# connection, idle in a transaction, rolled back, resources, locks, operator, system.
_SERVER_TROUBLE = ("08", "25P03", "40", "53", "55", "57", "58")


class DatabaseAwayError(Exception):
    """The database does not answer: nothing was recorded, and nothing may be acknowledged."""


def handle(deliveries: Sequence[Delivery], facility_root: PurePosixPath) -> None:
    """Record deliveries; on return everything is committed and may be acknowledged.

    Raises:
        DatabaseAwayError: some were not recorded.
    """
    for portion in _portions(deliveries):
        _handle_portion(portion, facility_root)


def _portions(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    portion: list[Delivery] = []
    weight = 0
    for delivery in deliveries:
        if portion and weight + len(delivery.body) > _HEAVIEST_BATCH:
            yield portion
            portion, weight = [], 0
        portion.append(delivery)
        weight += len(delivery.body)
    if portion:
        yield portion


def _handle_portion(deliveries: Sequence[Delivery], facility_root: PurePosixPath) -> None:
    """Record as one transaction; what fails is halved until only what is bad is left."""
    received, rejections = _decoded(deliveries, facility_root)
    try:
        services.record(received, rejections)
    except Exception as error:
        if is_database_away(error):
            raise DatabaseAwayError(str(error)) from error
        # Whatever is wrong with a message, or with us, must not stop the daemon: the message is
        # kept with the reason, and the log has the traceback.
        if len(deliveries) == 1:
            _give_up(deliveries[0], error)
            return
        log.warning("A batch of %d failed and is halved: %s", len(deliveries), error)
        middle = len(deliveries) // 2
        _handle_portion(deliveries[:middle], facility_root)
        _handle_portion(deliveries[middle:], facility_root)


def is_database_away(error: Exception) -> bool:
    """Whether trying again later can help."""
    if isinstance(error, InterfaceError):
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    if isinstance(error, OperationalError):
        return state is None or state.startswith(_SERVER_TROUBLE)
    return isinstance(error, Error) and state is not None and state.startswith(_SERVER_TROUBLE)


def _decoded(
    deliveries: Sequence[Delivery], facility_root: PurePosixPath
) -> tuple[list[Received], list[Rejection]]:
    received, rejections = [], []
    now = datetime.now(UTC)
    for delivery in deliveries:
        try:
            message = decode(delivery.destination, delivery.body, facility_root)
        except DecodeError as error:
            log.warning("Rejected a message on %.200s: %s", delivery.destination, error.reason)
            rejections.append(_rejection(delivery, error.reason))
        else:
            identity = services.identity_of(delivery.message_id, delivery.body)
            sent = sent_at(message.body, delivery.headers)
            received.append(Received(message, identity, now, sent))
    return received, rejections


def _give_up(delivery: Delivery, error: Exception) -> None:
    log.error("A message on %.200s cannot be recorded", delivery.destination, exc_info=error)
    try:
        services.record([], [_rejection(delivery, f"It cannot be recorded: {error}")])
    except Exception as problem:
        if is_database_away(problem):
            raise DatabaseAwayError(str(problem)) from problem
        # The log is the last place that takes it.
        log.exception("A message that cannot even be kept: %r", delivery)


def _rejection(delivery: Delivery, reason: str) -> Rejection:
    return Rejection(
        delivery.destination, delivery.message_id, delivery.headers, delivery.body, reason
    )
