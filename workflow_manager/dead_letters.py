"""What people do with messages that could not be handled: replay, correct, discard.

A message is settled in the transaction in which its effect is recorded, and its effect has the
identity of the delivery that was rejected. So a replay done twice, by two people at once, or of
something that was recorded meanwhile changes nothing. No row goes away here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from django.conf import settings
from django.db import Error, connection, transaction

from workflow_manager import services
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES
from workflow_manager.handlers import is_database_away
from workflow_manager.models import Event, OutboxMessage, Queue, RejectedMessage
from workflow_manager.protocol.codec import DecodeError, decode, sent_at
from workflow_manager.protocol.messages import RunMessage

# What differs between two messages that are bad in the same way: quoted values and numbers.
_PARTICULAR = re.compile(
    r"'(?:[^'\\]|\\.)*'" r'|"(?:[^"\\]|\\.)*"' r"|\b0x[0-9a-f]+\b|\d+", re.IGNORECASE
)
_MOST_REASONS = 20


class DeadLetterError(Exception):
    """The message stays as it is; the text is one sentence for a person."""


class AlreadySettledError(DeadLetterError):
    """Somebody replayed or discarded it before."""


class NotReplayedError(DeadLetterError):
    """It still cannot be handled; the message stays open."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay did, in one sentence; `is_new` is false if it had been recorded before."""

    sentence: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Replays:
    """What replaying all messages of a kind did.

    `reasons` are those for which messages stayed open, each once, at most 20 of them.
    """

    replayed: int
    still_open: int
    reasons: tuple[str, ...]


def replay(
    message: RejectedMessage, by: str, *, body: bytes | None = None, again: bool = False
) -> Replay:
    """Handle the kept bytes, or a corrected `body` in their place, as if they arrived now.

    A message for somebody else, such as an agent's job, is sent to its destination, once.
    `again` insists on a message that is settled.

    Raises:
        AlreadySettledError: it is not open, and nobody insists.
        NotReplayedError: it still cannot be handled, and stays open; the text says why.
        django.db.Error: the database is away.
    """
    try:
        with transaction.atomic():
            row = _locked(message, again=again)
            result = _replay(row, body)
            words = "With a corrected body." if body is not None else ""
            _settle(row, RejectedMessage.Outcome.REPLAYED, by, words)
            return result
    except DecodeError as error:
        raise NotReplayedError(error.reason) from error
    except Error as error:
        if is_database_away(error):
            raise
        raise NotReplayedError(f"It cannot be recorded: {error}") from error


def replay_like(message: RejectedMessage, by: str) -> Replays:
    """Replay all open messages that came the same way and are bad in the same way.

    Each is a transaction of its own: what stays open does not hold up the others.
    """
    replayed, left = 0, []
    for number in list(_like(message)):
        try:
            replay(RejectedMessage(id=number), by)
        except AlreadySettledError:
            continue
        except NotReplayedError as error:
            left.append(str(error))
        else:
            replayed += 1
    return Replays(replayed, len(left), tuple(dict.fromkeys(left))[:_MOST_REASONS])


def discard(message: RejectedMessage, by: str, reason: str) -> None:
    """Say that nothing is to be done about a message. The row stays, with the reason.

    Raises:
        DeadLetterError: there is no reason.
        AlreadySettledError: it is not open.
    """
    if not reason.strip():
        raise DeadLetterError("A reason is needed: others will want to know why it was discarded.")
    with transaction.atomic():
        row = _locked(message, again=False)
        _settle(row, RejectedMessage.Outcome.DISCARDED, by, reason.strip())


def kind_of(reason: str) -> str:
    """The reason without what is particular to one message."""
    return _PARTICULAR.sub("…", reason)


def _like(message: RejectedMessage) -> Iterator[int]:
    """The numbers of open messages of that kind, in the order in which they came."""
    rows = RejectedMessage.objects.filter(
        outcome=RejectedMessage.Outcome.OPEN,
        destination__in=names.spellings(message.destination),
    )
    kind = kind_of(message.reason)
    for number, reason in rows.order_by("id").values_list("id", "reason").iterator():
        if kind_of(reason) == kind:
            yield number


def _locked(message: RejectedMessage, *, again: bool) -> RejectedMessage:
    row = RejectedMessage.objects.select_for_update().filter(id=message.id).first()
    if row is None:
        raise DeadLetterError(f"There is no rejected message {message.id}.")
    if row.outcome != RejectedMessage.Outcome.OPEN and not again:
        at = f"{row.outcome_at:%Y-%m-%d %H:%M:%S} UTC" if row.outcome_at else "before"
        raise AlreadySettledError(
            f"Message {row.id} was {row.outcome} by {row.outcome_by} on {at}; nothing was done."
        )
    return row


def _settle(row: RejectedMessage, outcome: str, by: str, reason: str) -> None:
    row.outcome, row.outcome_by, row.outcome_reason = outcome, by, reason
    row.outcome_at = datetime.now(UTC)
    row.save(update_fields=["outcome", "outcome_by", "outcome_reason", "outcome_at"])
    with connection.cursor() as cursor:
        services.notify(cursor, services.CHANGES, ["rejected"])


def _replay(row: RejectedMessage, body: bytes | None) -> Replay:
    if _is_ours(row.destination):
        return _record(row, body)
    if names.bare_name(row.destination) in names.DEAD_LETTER_QUEUES:
        raise NotReplayedError("The broker did not tell for whom it was, so it cannot be sent.")
    return _send(row, body)


def _is_ours(destination: str) -> bool:
    name = names.bare_name(destination)
    if name in INPUT_QUEUES or names.is_sms_topic(destination):
        return True
    return Queue.objects.filter(name=name, is_workflow_input=True).exists()


def _record(row: RejectedMessage, body: bytes | None) -> Replay:
    kept = bytes(row.body)
    message = decode(
        row.destination, kept if body is None else body, PurePosixPath(settings.FACILITY_ROOT)
    )
    identity = services.identity_of(row.message_id, kept)
    if body is not None:
        identity = _identity_of_correction(row, body)
    sent = sent_at(message.body, row.headers)
    before = _events_of(message)
    services.record([services.Received(message, identity, datetime.now(UTC), sent)])
    run = f"{message.instrument.upper()} {message.run_number}"
    if _events_of(message) == before:
        return Replay(f"{run}: it had been recorded before, and nothing changed.", is_new=False)
    return Replay(f"{run}: {message.queue} is recorded.", is_new=True)


def _identity_of_correction(row: RejectedMessage, body: bytes) -> str:
    """Its own, so that the bad message stays what it was; the same correction counts once."""
    return services.identity_of(f"correction of {row.identity[:40]}", body)


def _events_of(message: RunMessage) -> int:
    run = {"run__instrument__name": message.instrument, "run__number": message.run_number}
    return Event.objects.filter(**run).count()


def _send(row: RejectedMessage, body: bytes | None) -> Replay:
    destination = row.destination
    if not destination.startswith((names.QUEUE_PREFIX, names.TOPIC_PREFIX)):
        destination = names.queue(destination)
    OutboxMessage.objects.create(
        destination=destination, body=bytes(row.body) if body is None else body
    )
    with connection.cursor() as cursor:
        services.notify(cursor, services.OUTBOX)
    return Replay(f"It is on its way to {destination}.", is_new=True)
