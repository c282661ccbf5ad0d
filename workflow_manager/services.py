"""The writes: what a batch of messages does to runs, in one transaction."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager import rows
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import WISH_QUEUES, rule_for
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import JobRecord, RunLedger, agent_of
from workflow_manager.models import Run
from workflow_manager.protocol.messages import RunMessage, body_of_run
from workflow_manager.rows import Event, Identity, LockedRun, RunKey
from workflow_manager.sql import RECORD

# Web processes listen for keys of what changed, the relay for messages to send, and the dispatcher
# for jobs that wait here and for jobs that ended and make room.
CHANGES = "webmon"
OUTBOX = "outbox"
JOBS = "jobs"

# Hexadecimal digits of a body's digest at the end of a message's identity.
_DIGEST = 16

_REPEATED_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message with what only its delivery knew."""

    message: RunMessage
    message_id: str
    received_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A delivery that cannot be handled, whole, and why."""

    destination: str
    message_id: str
    headers: Mapping[str, str]
    body: bytes
    reason: str


class RequestRefusedError(Exception):
    """A wish that cannot be met; the message says why."""


def record(received: Sequence[Received], rejections: Sequence[Rejection] = ()) -> None:
    """Write down a batch: instruments, proposals, runs, events, states, jobs and the outbox.

    All of it or nothing. A message that was recorded before changes nothing.

    Raises:
        django.db.Error: nothing was written; the deliveries must not be acknowledged.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        runs = rows.lock_runs(cursor, [item.message for item in received])
        _take_in(cursor, runs, received)
        changed = {key: run for key, run in runs.items() if run.events}
        written = rows.write(cursor, list(changed.values()))
        if written.has_messages:
            notify(cursor, OUTBOX)
        if written.has_held or written.has_ended:
            notify(cursor, JOBS)
        _keep_rejected(cursor, rejections)
        notify(cursor, CHANGES, changed_keys(list(changed), has_rejections=bool(rejections)))


def request_step(run: Run, step: Step | None, *, by: str, reason: str = "") -> None:
    """Ask for one step of a run, or for all that follows when its data is ready (None).

    It is the same as a message on the queue of that wish, so the instrument's route holds.

    Raises:
        RequestRefusedError: the run has no data file yet.
    """
    if not run.data_file:
        raise RequestRefusedError(f"{run} has no data file yet: there is nothing to process.")
    instrument, queue = run.instrument, WISH_QUEUES[step]
    known = body_of_run(
        facility=instrument.facility,
        instrument=instrument.name,
        proposal=run.proposal.name,
        number=run.number,
        data_file=run.data_file,
    )
    said = {"information": f"Requested by {by}", **({"reason": reason} if reason else {})}
    message = RunMessage(
        queue=queue,
        instrument=instrument.name,
        run_number=run.number,
        proposal=run.proposal.name,
        facility=instrument.facility,
        data_file=run.data_file,
        information=f"Requested by {by}",
        error=None,
        job=None,
        body=known | said,
    )
    record([Received(message, f"request {uuid.uuid4().hex}", datetime.now(UTC))])


def identity_of(message_id: str, body: bytes) -> str:
    """What a message is known by: the broker's number and a digest of the body.

    The number alone is not enough: a broker that lost its data counts from the beginning again,
    and two brokers count alike.
    """
    digest = hashlib.sha256(body).hexdigest()[:_DIGEST]
    return f"{message_id[:200]} {digest}"


def _take_in(
    cursor: CursorWrapper, runs: Mapping[RunKey, LockedRun], received: Sequence[Received]
) -> None:
    identities = [_identity(runs[item.message.run_key].ledger, item) for item in received]
    seen = rows.recorded_before(cursor, identities)
    announced = _announced_before(cursor, runs, received)
    for identity, item in zip(identities, received, strict=True):
        if identity in seen:
            continue
        seen.add(identity)
        run = runs[item.message.run_key]
        if _is_repeated(run, item, announced):
            run.events.append(_received_event(run, item, identity, None))
        else:
            _take_in_one(run, item, identity)


def _announced_before(
    cursor: CursorWrapper, runs: Mapping[RunKey, LockedRun], received: Sequence[Received]
) -> dict[tuple[int, str], datetime]:
    """When these runs were last announced with which body."""
    announcements = [item for item in received if _is_announcement(item)]
    return rows.announced(cursor, [runs[item.message.run_key].run_id for item in announcements])


def _is_announcement(item: Received) -> bool:
    """Data acquisition says that data is ready; a person who says so wants it all again."""
    wish = item.message.information or ""
    return item.message.queue == names.POSTPROCESS_DATA_READY and not wish.startswith("Requested")


def _is_repeated(
    run: LockedRun, item: Received, announced: dict[tuple[int, str], datetime]
) -> bool:
    """Whether the sender only did not know that the same announcement had arrived.

    A broker that dies between storing and confirming makes every good sender repeat itself, with
    a new number. A body with the time at which it was made is the same announcement for ever;
    any other while the run is being processed, and for some minutes.
    """
    if not _is_announcement(item):
        return False
    key = (run.run_id, item.message_id[-_DIGEST:])
    before, announced[key] = announced.get(key), item.received_at
    if before is None:
        return False
    is_dated = item.message.body.get("timestamp") is not None
    is_recent = item.received_at - before < _REPEATED_WITHIN
    return is_dated or is_recent or run.ledger.is_open


def _identity(ledger: RunLedger, item: Received) -> Identity:
    """A report is known by the job that it is about, any other message by its own number: a wish
    or a remark that carries a job's number is new each time.

    A start is known by its agent as well: when one dies, the broker gives the job to another.
    """
    job = ledger.referenced(item.message)
    queue = item.message.queue
    phase = rule_for(queue).phase
    if job is None or phase is None:
        return (queue, item.message_id)
    agent = agent_of(item.message) if phase == Phase.STARTED else ""
    return (queue, f"{rows.job_identity(job)} {agent}".strip())


def _take_in_one(run: LockedRun, item: Received, identity: Identity) -> None:
    known_jobs = len(run.ledger.jobs)
    job = run.ledger.receive(item.message, item.received_at)
    run.events.append(_received_event(run, item, identity, job))
    run.events += [
        _sent_event(run, new_job, item.received_at)
        for new_job in run.ledger.jobs[known_jobs:]
        if new_job.body is not None and not new_job.is_held
    ]
    if run.ledger.is_stopped_by_route(item.message.queue):
        run.events.append(_stopped_event(run, item, identity))


def _received_event(
    run: LockedRun, item: Received, identity: Identity, job: JobRecord | None
) -> Event:
    return Event(
        run_id=run.run_id,
        queue=item.message.queue,
        message_id=identity[1],
        received_at=item.received_at,
        sent_at=item.sent_at,
        job=job,
        information=item.message.information or "",
        error=item.message.error or "",
        body=item.message.body,
    )


def _sent_event(run: LockedRun, job: JobRecord, at: datetime) -> Event:
    return Event(run.run_id, job.queue, "", at, None, job, "", "", job.body or {})


def _stopped_event(run: LockedRun, item: Received, identity: Identity) -> Event:
    """A route without targets ends a run's way on purpose, and the history says so."""
    queue = item.message.queue
    words = f"Nothing follows: the route of {item.message.instrument} for {queue} has no targets."
    body = {"information": words}
    at = item.received_at
    return Event(run.run_id, names.POSTPROCESS_INFO, identity[1], at, None, None, words, "", body)


def _keep_rejected(cursor: CursorWrapper, rejections: Sequence[Rejection]) -> None:
    if not rejections:
        return
    cursor.execute(
        RECORD["reject"],
        {
            "identity": [_rejected_identity(rejection) for rejection in rejections],
            "destination": [_storable(rejection.destination) for rejection in rejections],
            "message_id": [_storable(rejection.message_id) for rejection in rejections],
            "headers": [_storable_headers(rejection.headers) for rejection in rejections],
            "body": [rejection.body for rejection in rejections],
            "reason": [_storable(rejection.reason) for rejection in rejections],
        },
    )


def _rejected_identity(rejection: Rejection) -> str:
    """A digest, because a destination may be longer than what an index takes."""
    parts = (rejection.destination, rejection.message_id)
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass"))
    digest.update(rejection.body)
    return digest.hexdigest()


def _storable_headers(headers: Mapping[str, str]) -> str:
    return json.dumps({_storable(name): _storable(text) for name, text in headers.items()})


def _storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold made visible; the body keeps the bytes."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def changed_keys(runs: Sequence[RunKey], *, has_rejections: bool = False) -> list[str]:
    """What web processes are told when these runs changed."""
    keys = [f"run {instrument}/{number}" for instrument, number in runs]
    keys += sorted({f"instrument {instrument}" for instrument, _ in runs})
    return [*keys, "rejected"] if has_rejections else keys


def notify(cursor: CursorWrapper, channel: str, keys: Sequence[str] = ("",)) -> None:
    """Tell whoever listens, when the transaction is committed."""
    if keys:
        cursor.execute(RECORD["notify"], {"channel": channel, "keys": list(keys)})
