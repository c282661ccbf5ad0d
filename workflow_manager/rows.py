"""Ledgers as rows: a whole batch of runs is read and written with a dozen statements."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from workflow_manager.domain import destinations as names
from workflow_manager.domain.steps import Phase
from workflow_manager.ledger import JobRecord, RunLedger
from workflow_manager.protocol.codec import encode
from workflow_manager.protocol.messages import RunMessage
from workflow_manager.sql import RECORD

RunKey = tuple[str, int]
Identity = tuple[str, str]

# How long after it was recorded a message is known when it comes again. What comes later is an
# event once more; a report moves nothing then either, because phases only move up.
COMES_AGAIN_WITHIN = timedelta(days=62)


class Event(NamedTuple):
    """A row of a run's history. A message that is being sent has its job's identity."""

    run_id: int
    queue: str
    message_id: str
    received_at: datetime
    sent_at: datetime | None
    job: JobRecord | None
    information: str
    error: str
    body: Mapping[str, Any]

    @property
    def is_to_be_sent(self) -> bool:
        return self.job is not None and self.queue == self.job.queue


@dataclass(slots=True)
class LockedRun:
    """A run that is ours until the transaction ends."""

    run_id: int
    instrument_id: int
    ledger: RunLedger
    events: list[Event] = field(default_factory=list)


def lock_runs(cursor: CursorWrapper, messages: Iterable[RunMessage]) -> dict[RunKey, LockedRun]:
    """The runs of these messages with their jobs; what is new becomes known."""
    merged = _one_per_run(messages)
    if not merged:
        return {}
    instrument_ids = _ids(cursor, "instruments", {m.instrument: m.facility for m in merged})
    proposal_ids = _ids(cursor, "proposals", {m.proposal: "" for m in merged})
    cursor.execute(
        RECORD["upsert_runs"],
        {
            "instrument_ids": [instrument_ids[message.instrument] for message in merged],
            "numbers": [message.run_number for message in merged],
            "proposal_ids": [proposal_ids[message.proposal] for message in merged],
            "data_files": [message.data_file for message in merged],
        },
    )
    name_of = {number: name for name, number in instrument_ids.items()}
    runs = {
        (name_of[instrument_id], number): LockedRun(
            run_id, instrument_id, RunLedger(data_ready_at=data_ready_at)
        )
        for run_id, instrument_id, number, data_ready_at in cursor.fetchall()
    }
    _fill_routes(cursor, runs.values())
    _fill_ledgers(cursor, {run.run_id: run.ledger for run in runs.values()})
    return runs


def _one_per_run(messages: Iterable[RunMessage]) -> list[RunMessage]:
    """The last message with a data file if there is one: a row can change once per statement."""
    merged: dict[RunKey, RunMessage] = {}
    for message in messages:
        if message.data_file or message.run_key not in merged:
            merged[message.run_key] = message
    return list(merged.values())


def _ids(cursor: CursorWrapper, kind: str, facilities: Mapping[str, str]) -> dict[str, int]:
    """The numbers of these instruments or proposals; what is unknown becomes known."""
    known = _known(cursor, kind, facilities)
    missing = {name: facilities[name] for name in sorted(facilities.keys() - known.keys())}
    if missing:
        cursor.execute(RECORD[f"add_{kind}"], _names(missing))
        known |= _known(cursor, kind, missing)
    return known


def _known(cursor: CursorWrapper, kind: str, wanted: Mapping[str, str]) -> dict[str, int]:
    cursor.execute(RECORD[f"known_{kind}"], _names(wanted))
    return dict(cursor.fetchall())


def _names(facilities: Mapping[str, str]) -> dict[str, list[str]]:
    return {"names": list(facilities), "facilities": list(facilities.values())}


def _fill_routes(cursor: CursorWrapper, runs: Collection[LockedRun]) -> None:
    """Where runs of these instruments go, if not where the rules say, and if they may at once."""
    cursor.execute(RECORD["routes"], {"instrument_ids": list({run.instrument_id for run in runs})})
    routes: dict[int, dict[str, Sequence[str]]] = defaultdict(dict)
    limited = set()
    for instrument_id, is_limited, queue, targets in cursor.fetchall():
        if is_limited:
            limited.add(instrument_id)
        if queue is not None:
            routes[instrument_id][queue] = targets
    for run in runs:
        run.ledger.routes = routes[run.instrument_id]
        run.ledger.holds_jobs = run.instrument_id in limited


def _fill_ledgers(cursor: CursorWrapper, ledgers: Mapping[int, RunLedger]) -> None:
    cursor.execute(RECORD["jobs_of_runs"], {"run_ids": list(ledgers)})
    columns = [column.name for column in cursor.description][1:]
    for run_id, *values in cursor.fetchall():
        content = dict(zip(columns, values, strict=True))
        content["phase"] = Phase(content["phase"])
        ledgers[run_id].jobs.append(JobRecord(**content))


def recorded_before(cursor: CursorWrapper, identities: Sequence[Identity]) -> set[Identity]:
    """Which of these events there are already; their runs must be locked.

    Who records the same message at the same time waits for the lock, and finds it then.
    """
    if not identities:
        return set()
    queues, message_ids = zip(*identities, strict=True)
    cursor.execute(
        RECORD["known_events"],
        {
            "queues": list(queues),
            "message_ids": list(message_ids),
            "since": timezone.now() - COMES_AGAIN_WITHIN,
        },
    )
    return set(cursor.fetchall())


def announced(cursor: CursorWrapper, run_ids: Sequence[int]) -> dict[tuple[int, str], datetime]:
    """When data of these runs was last said to be ready, by the digest of the message's body."""
    if not run_ids:
        return {}
    cursor.execute(
        RECORD["announced"], {"run_ids": list(run_ids), "queue": names.POSTPROCESS_DATA_READY}
    )
    return {(run_id, digest): at for run_id, digest, at in cursor.fetchall()}


def job_identity(job: JobRecord) -> str:
    return f"job {job.job_id}.{job.attempt}"


class Written(NamedTuple):
    """What is to be done about what was written: messages to send, jobs that wait or ended."""

    has_messages: bool = False
    has_held: bool = False
    has_ended: bool = False


def write(cursor: CursorWrapper, runs: Sequence[LockedRun]) -> Written:
    """Write what happened to these runs."""
    if not runs:
        return Written()
    new, changed = _write_jobs(cursor, runs)
    has_messages = add_events(cursor, [event for run in runs for event in run.events])
    cursor.execute(RECORD["update_runs"], _columns(map(_run_row, runs)))
    return Written(
        has_messages=has_messages,
        has_held=any(job.is_held for job in new),
        has_ended=any(job.phase.is_final for job in changed),
    )


def add_events(cursor: CursorWrapper, events: Sequence[Event]) -> bool:
    """Write events, and put those that are a job's message into the outbox if there are any."""
    cursor.execute(RECORD["add_events"], _columns(map(_event_row, events)))
    to_send = [event for event in events if event.is_to_be_sent]
    if to_send:
        cursor.execute(RECORD["add_outbox"], _columns(map(_outbox_row, to_send)))
    return bool(to_send)


def _write_jobs(
    cursor: CursorWrapper, runs: Sequence[LockedRun]
) -> tuple[list[JobRecord], list[JobRecord]]:
    jobs = [(run, job) for run in runs for job in run.ledger.jobs]
    new = [(run, job) for run, job in jobs if job.job_id is None]
    old = [(run, job) for run, job in jobs if job.job_id is not None and job.has_changed]
    if new:
        cursor.execute(RECORD["new_job_ids"], {"count": len(new)})
        for (_, job), (job_id,) in zip(new, cursor.fetchall(), strict=True):
            job.job_id = job_id
        cursor.execute(RECORD["add_jobs"], _columns(map(_job_row, new)))
    if old:
        columns = _columns(map(_job_row, old))
        cursor.execute(RECORD["lock_jobs"], {"ids": columns["id"]})
        cursor.execute(RECORD["update_jobs"], columns)
    return [job for _, job in new], [job for _, job in old]


def _job_row(job_of_run: tuple[LockedRun, JobRecord]) -> dict[str, Any]:
    run, job = job_of_run
    return {
        "run_id": run.run_id,
        "instrument_id": run.instrument_id,
        "id": job.job_id,
        "step": str(job.step),
        "attempt": job.attempt,
        "queue": job.queue,
        "phase": job.phase.value,
        "requested_by": job.requested_by,
        "reason": job.reason,
        "requested_at": job.requested_at,
        "priority": job.priority,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "agent": job.agent,
        "error": job.error,
        "exit_code": job.exit_code,
        "is_held": job.is_held,
        "held_body": json.dumps(job.body) if job.is_held else None,
        "lease_until": job.lease_until,
    }


def _event_row(event: Event) -> dict[str, Any]:
    row = event._asdict()
    job = row.pop("job")
    return row | {
        "job_id": job.job_id if job else None,
        "message_id": event.message_id or job_identity(job),
        "body": json.dumps(event.body),
    }


def _outbox_row(event: Event) -> dict[str, Any]:
    job = event.job
    if job is None:
        raise ValueError("only a job's message is sent")
    body = {**event.body, "job_id": job.job_id, "attempt": job.attempt}
    return {
        "destination": names.queue(job.queue),
        "body": encode(body),
        "job_id": job.job_id,
        "priority": job.priority,
    }


def _run_row(run: LockedRun) -> dict[str, Any]:
    phases = {step.value: phase.value for step, phase in run.ledger.phases().items()}
    return {"id": run.run_id, "data_ready_at": run.ledger.data_ready_at, **phases}


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return columns


def read_jobs(cursor: CursorWrapper, runs: Iterable[LockedRun]) -> None:
    """Fill the ledgers of runs that are locked already with their jobs."""
    _fill_ledgers(cursor, {run.run_id: run.ledger for run in runs})
