"""The writes: what a batch of messages does to runs, in one transaction."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager.domain import destinations as names
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import JobRecord, RunLedger
from workflow_manager.protocol.codec import encode
from workflow_manager.protocol.messages import RunMessage
from workflow_manager.sql import RECORD

# Web processes listen here for keys of what changed; the relay listens here for work.
CHANGES = "webmon"
OUTBOX = "outbox"


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


class Event(NamedTuple):
    """A row of the run's history, to be written."""

    run_id: int
    queue: str
    message_id: str
    received_at: datetime
    sent_at: datetime | None
    job: JobRecord | None
    information: str
    error: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class _LockedRun:
    run_id: int
    ledger: RunLedger
    events: list[Event] = field(default_factory=list)


def record(received: Sequence[Received], rejections: Sequence[Rejection] = ()) -> None:
    """Write down a batch: instruments, proposals, runs, events, states, jobs and the outbox.

    All of it or nothing. A message that was recorded before changes nothing.

    Raises:
        django.db.Error: nothing was written; the deliveries must not be acknowledged.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        runs = _locked_runs(cursor, received)
        _take_in(cursor, runs, received)
        _write(cursor, list(runs.values()))
        _reject(cursor, rejections)
        changed = [key for key, run in runs.items() if run.events]
        _notify(cursor, changed, has_rejections=bool(rejections))


def _locked_runs(
    cursor: CursorWrapper, received: Sequence[Received]
) -> dict[tuple[str, int], _LockedRun]:
    messages = _merged([item.message for item in received])
    if not messages:
        return {}
    instrument_ids = _ids(
        cursor,
        "instruments",
        {message.instrument: message.facility for message in messages},
    )
    proposal_ids = _ids(cursor, "proposals", {message.proposal: "" for message in messages})
    cursor.execute(
        RECORD["upsert_runs"],
        {
            "instrument_ids": [instrument_ids[message.instrument] for message in messages],
            "numbers": [message.run_number for message in messages],
            "proposal_ids": [proposal_ids[message.proposal] for message in messages],
            "data_files": [message.data_file for message in messages],
        },
    )
    name_of = {number: name for name, number in instrument_ids.items()}
    runs = {
        (name_of[instrument_id], number): _LockedRun(run_id, RunLedger([], data_ready_at))
        for run_id, instrument_id, number, data_ready_at in cursor.fetchall()
    }
    _fill_ledgers(cursor, {run.run_id: run.ledger for run in runs.values()})
    return runs


def _merged(messages: Iterable[RunMessage]) -> list[RunMessage]:
    """One message per run, the last with a data file if there is one: a row changes once."""
    merged: dict[tuple[str, int], RunMessage] = {}
    for message in messages:
        if message.data_file or message.run_key not in merged:
            merged[message.run_key] = message
    return list(merged.values())


def _ids(cursor: CursorWrapper, kind: str, facilities: Mapping[str, str]) -> dict[str, int]:
    """The numbers of these instruments or proposals; what is unknown becomes known."""
    known = _known(cursor, kind, list(facilities))
    missing = sorted(facilities.keys() - known.keys())
    if missing:
        cursor.execute(
            RECORD[f"add_{kind}"],
            {"names": missing, "facilities": [facilities[name] for name in missing]},
        )
        known |= _known(cursor, kind, missing)
    return known


def _known(cursor: CursorWrapper, kind: str, wanted: list[str]) -> dict[str, int]:
    cursor.execute(RECORD[f"known_{kind}"], {"names": wanted})
    return dict(cursor.fetchall())


def _fill_ledgers(cursor: CursorWrapper, ledgers: Mapping[int, RunLedger]) -> None:
    cursor.execute(RECORD["jobs_of_runs"], {"run_ids": list(ledgers)})
    for run_id, job_id, step, attempt, queue, phase, *rest in cursor.fetchall():
        ledgers[run_id].jobs.append(
            JobRecord(job_id, Step(step), attempt, queue, Phase(phase), *rest)
        )


def _take_in(
    cursor: CursorWrapper,
    runs: Mapping[tuple[str, int], _LockedRun],
    received: Sequence[Received],
) -> None:
    identities = [_identity(runs[item.message.run_key].ledger, item) for item in received]
    seen = _recorded_before(cursor, identities)
    for identity, item in zip(identities, received, strict=True):
        if identity not in seen:
            seen.add(identity)
            _take_in_one(runs[item.message.run_key], item, identity)


def _identity(ledger: RunLedger, item: Received) -> tuple[str, str]:
    """An event is known by its queue and the broker's number, a report by its job."""
    job = ledger.referenced(item.message)
    is_report = job is not None and item.message.queue not in _REQUESTS
    return (item.message.queue, _job_identity(job) if job and is_report else item.message_id)


_REQUESTS = frozenset(
    {names.POSTPROCESS_DATA_READY, names.CATALOG_REQUEST, names.REDUCTION_REQUEST, names.SMS}
)


def _job_identity(job: JobRecord) -> str:
    return f"job {job.job_id}.{job.attempt}"


def _recorded_before(
    cursor: CursorWrapper, identities: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    if not identities:
        return set()
    queues, message_ids = zip(*identities, strict=True)
    cursor.execute(
        RECORD["known_events"], {"queues": list(queues), "message_ids": list(message_ids)}
    )
    return set(cursor.fetchall())


def _take_in_one(run: _LockedRun, item: Received, identity: tuple[str, str]) -> None:
    message = item.message
    known_jobs = len(run.ledger.jobs)
    job = run.ledger.receive(message, item.received_at)
    run.events.append(
        Event(
            run_id=run.run_id,
            queue=message.queue,
            message_id=identity[1],
            received_at=item.received_at,
            sent_at=item.sent_at,
            job=job,
            information=message.information or "",
            error=message.error or "",
            body=message.body,
        )
    )
    for new_job in run.ledger.jobs[known_jobs:]:
        if new_job.body is not None:
            run.events.append(_sent_event(run.run_id, new_job, item.received_at))


def _sent_event(run_id: int, job: JobRecord, at: datetime) -> Event:
    return Event(run_id, job.queue, "", at, None, job, "", "", job.body or {})


def _write(cursor: CursorWrapper, runs: Sequence[_LockedRun]) -> None:
    changed = [run for run in runs if run.events]
    if not changed:
        return
    _write_jobs(cursor, changed)
    events = [event for run in changed for event in run.events]
    _write_events(cursor, events)
    _write_outbox(cursor, [event for event in events if _is_to_be_sent(event)])
    _write_phases(cursor, changed)


def _is_to_be_sent(event: Event) -> bool:
    return event.job is not None and event.queue == event.job.queue


def _write_jobs(cursor: CursorWrapper, runs: Sequence[_LockedRun]) -> None:
    jobs = [(run.run_id, job) for run in runs for job in run.ledger.jobs]
    new = [(run_id, job) for run_id, job in jobs if job.job_id is None]
    old = [(run_id, job) for run_id, job in jobs if job.job_id is not None and job.has_changed]
    if new:
        cursor.execute(RECORD["new_job_ids"], {"count": len(new)})
        for (_, job), (job_id,) in zip(new, cursor.fetchall(), strict=True):
            job.job_id = job_id
        cursor.execute(RECORD["add_jobs"], _columns(map(_job_row, new)))
    if old:
        cursor.execute(RECORD["update_jobs"], _columns(map(_job_row, old)))


def _job_row(numbered: tuple[int, JobRecord]) -> dict[str, Any]:
    run_id, job = numbered
    return {
        "run_id": run_id,
        "id": job.job_id,
        "step": job.step.value,
        "attempt": job.attempt,
        "queue": job.queue,
        "phase": job.phase.value,
        "requested_by": job.requested_by,
        "requested_at": job.requested_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "agent": job.agent,
        "error": job.error,
        "exit_code": job.exit_code,
    }


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _write_events(cursor: CursorWrapper, events: Sequence[Event]) -> None:
    cursor.execute(RECORD["add_events"], _columns(map(_event_row, events)))


def _event_row(event: Event) -> dict[str, Any]:
    row = event._asdict()
    job = row.pop("job")
    return row | {
        "job_id": job.job_id if job else None,
        "message_id": event.message_id or _job_identity(job),
        "body": json.dumps(event.body),
    }


def _write_outbox(cursor: CursorWrapper, events: Sequence[Event]) -> None:
    if not events:
        return
    cursor.execute(RECORD["add_outbox"], _columns(map(_outbox_row, events)))
    cursor.execute(RECORD["notify"], {"channel": OUTBOX, "keys": [""]})


def _outbox_row(event: Event) -> dict[str, Any]:
    job = event.job
    if job is None:
        raise ValueError("only a job's message is sent")
    body = {**event.body, "job_id": job.job_id, "attempt": job.attempt}
    return {"destination": names.queue(job.queue), "body": encode(body), "job_id": job.job_id}


def _write_phases(cursor: CursorWrapper, runs: Sequence[_LockedRun]) -> None:
    cursor.execute(RECORD["update_runs"], _columns(map(_run_row, runs)))


def _run_row(run: _LockedRun) -> dict[str, Any]:
    phases = {step.value: phase.value for step, phase in run.ledger.phases().items()}
    return {"id": run.run_id, "data_ready_at": run.ledger.data_ready_at, **phases}


def _reject(cursor: CursorWrapper, rejections: Sequence[Rejection]) -> None:
    if rejections:
        cursor.execute(RECORD["reject"], _columns(map(_rejection_row, rejections)))


def _rejection_row(rejection: Rejection) -> dict[str, Any]:
    headers = {_storable(name): _storable(text) for name, text in rejection.headers.items()}
    return {
        "destination": _storable(rejection.destination),
        "message_id": _storable(rejection.message_id),
        "headers": json.dumps(headers),
        "body": rejection.body,
        "reason": _storable(rejection.reason),
    }


def _storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold made visible; the body keeps the bytes."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _notify(
    cursor: CursorWrapper, changed: Sequence[tuple[str, int]], *, has_rejections: bool
) -> None:
    keys = [f"run {instrument}/{number}" for instrument, number in changed]
    keys += sorted({f"instrument {instrument}" for instrument, _ in changed})
    if has_rejections:
        keys.append("rejected")
    if keys:
        cursor.execute(RECORD["notify"], {"channel": CHANGES, "keys": keys})
