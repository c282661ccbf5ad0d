"""From deliveries to services: what the process reacts to, and what it does with the rest."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from django.db import Error, InterfaceError, OperationalError, connection

from workflow_manager import given_up, services
from workflow_manager.broker.ports import Delivery
from workflow_manager.protocol.codec import DecodeError, decode, sent_at
from workflow_manager.services import Received, Rejection

log = logging.getLogger(__name__)

# Bytes of one transaction: a batch is bounded by what it weighs, not only by its number.
_HEAVIEST_BATCH = 8 * 1024 * 1024

# SQLSTATEs that say that the server is in trouble, or we were too slow, and not the statement:
# connection, read-only, idle in a transaction, rolled back, resources, locks, operator, system;
# and that the database is not (yet) the one that this release writes to, or not for our user.
_SERVER_TROUBLE = (
    *("08", "25006", "25P03", "40", "53", "55", "57", "58"),
    *("3D000", "3F000", "42501", "42703", "42883", "42P01"),
)

# Of these the ones that a single message can bring about: memory, time, and a backend that ends.
_PERHAPS_OURS = ("08", "53200", "57014", "57P01", "57P02")
_ATTEMPTS = 3

# A batch that fails is divided into so many: few rounds, should each last until a time limit.
_PARTS = 8


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
    """Record as one transaction; what fails is divided until only what is bad is left."""
    error = _error_of(deliveries, facility_root)
    if error is None:
        return
    if len(deliveries) == 1:
        _give_up(deliveries[0], error)
        return
    log.warning("A batch of %d failed and is divided: %s", len(deliveries), error)
    size = -(-len(deliveries) // _PARTS)
    for start in range(0, len(deliveries), size):
        _handle_portion(deliveries[start : start + size], facility_root)


def _error_of(deliveries: Sequence[Delivery], facility_root: PurePosixPath) -> Exception | None:
    """What went wrong with recording these, and may be the fault of one of them.

    A message alone gets another chance if the server may have been at fault.
    """
    attempts = _ATTEMPTS if len(deliveries) == 1 else 1
    for attempt in range(attempts):
        try:
            services.record(*_decoded(deliveries, facility_root))
        except Exception as error:
            # Whatever is wrong with a message, or with us, must not stop the daemon: the message
            # is kept with the reason, and the log has the traceback.
            if not is_database_away(error):
                return error
            if not (is_suspicious(error) and database_answers()):
                raise DatabaseAwayError(str(error)) from error
            if attempt + 1 == attempts:
                return error
        else:
            return None
    return None


def is_database_away(error: Exception) -> bool:
    """Whether trying again later can help."""
    if isinstance(error, InterfaceError):
        return True
    state = _state(error)
    if isinstance(error, OperationalError):
        return state is None or state.startswith(_SERVER_TROUBLE)
    return isinstance(error, Error) and state is not None and state.startswith(_SERVER_TROUBLE)


def is_suspicious(error: Exception) -> bool:
    """Whether the message may have brought it about: out of time or memory, or the end of ours."""
    state = _state(error)
    return state is None or state.startswith(_PERHAPS_OURS)


def _state(error: Exception) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def database_answers() -> bool:
    """Ask on a new connection."""
    connection.close()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _decoded(
    deliveries: Sequence[Delivery], facility_root: PurePosixPath
) -> tuple[list[Received], list[Rejection]]:
    now = datetime.now(UTC)
    dead = [delivery for delivery in deliveries if given_up.is_dead_letter(delivery)]
    received, rejections = given_up.taken_in(dead, facility_root, now)
    for delivery in deliveries:
        if given_up.is_dead_letter(delivery):
            continue
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
    words = str(error) or type(error).__name__
    try:
        services.record([], [_rejection(delivery, f"It cannot be recorded: {words}")])
    except Exception as problem:
        if is_database_away(problem):
            raise DatabaseAwayError(str(problem)) from problem
        # The log is the last place that takes it.
        log.exception("A message that cannot even be kept: %r", delivery)


def _rejection(delivery: Delivery, reason: str) -> Rejection:
    return Rejection(
        delivery.destination, delivery.message_id, delivery.headers, delivery.body, reason
    )
