"""Jobs of which nothing will be heard any more are sent again, a few times, then given up.

Each function is one round of it and one short transaction or two; of several managers one does
it, and the others find nothing left to do. A round that fails changes nothing.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from workflow_manager import rows, services
from workflow_manager.domain import destinations as names
from workflow_manager.domain import leases, recovery
from workflow_manager.domain.liveness import AGENT_LATE, OLD_AGENT_LATE
from workflow_manager.domain.presence import Silence
from workflow_manager.domain.recovery import Loss, Patience, QueueNow, Typical, Waiting
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.ledger import JobRecord, RunLedger
from workflow_manager.protocol.messages import body_of_run
from workflow_manager.rows import Event, LockedRun
from workflow_manager.sql import RECORD, RECOVERY

_STEPS = [step.value for step in Step]
_MOST = 1_000  # jobs in one round


@dataclass(frozen=True, slots=True)
class _Lost:
    """A job that is given up on, as it was when that was decided."""

    job_id: int
    run_id: int
    lease_until: datetime
    recoveries: int
    batch_id: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A locked run with what a message about it says."""

    locked: LockedRun
    instrument: str
    number: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A job whose lease ended; `began_at` is when the newest agent told that it started."""

    id: int
    run_id: int
    instrument_id: int
    step: str
    queue: str
    phase: int
    agent: str
    sent_at: datetime | None
    lease_until: datetime
    recoveries: int
    batch_id: int | None
    began_at: datetime

    @property
    def is_recoverable(self) -> bool:
        return self.step in _STEPS

    @property
    def kind(self) -> tuple[int, str]:
        return (self.instrument_id, self.step)

    def lost(self, cause: str) -> _Lost:
        seen = (self.lease_until, self.recoveries, self.batch_id)
        return _Lost(self.id, self.run_id, *seen, cause)


def free_jobs_of(silent: Sequence[Silence], most_recoveries: int) -> int:
    """Send again what silent agents had started; return how many jobs that were.

    Raises:
        django.db.Error: nothing was changed.
    """
    if not silent:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_ours(cursor):
            return 0
        cursor.execute(
            RECOVERY["at_silent_agents"],
            {
                "names": [each.name for each in silent],
                "limits": [each.limit for each in silent],
                "steps": _STEPS,
                "most": _MOST,
            },
        )
        found = cursor.fetchall()
        lost = [_lost_with_agent(row) for row in found]
        agents = sorted({agent for *_, agent, _ in found})
        if agents:
            cursor.execute(RECOVERY["lost"], {"names": agents})
        return _send_again(cursor, lost, most_recoveries, datetime.now(UTC))


def recover_overdue(now: datetime, most_recoveries: int) -> int:
    """Look after the jobs whose lease ended; return how many were given up on.

    Most are only given more time.

    Raises:
        django.db.Error: some were not looked after.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_ours(cursor):
            return 0
        cursor.execute(RECOVERY["overdue"], {"now": now, "most": _MOST})
        overdue = [_Overdue(*row) for row in cursor.fetchall()]
        verdicts = _verdicts(cursor, [job for job in overdue if job.is_recoverable], now)
        causes = {job_id: v.cause for job_id, v in verdicts.items() if isinstance(v, Loss)}
        lost = [job.lost(causes[job.id]) for job in overdue if job.id in causes]
        count = _send_again(cursor, lost, most_recoveries, now)
    _extend([job for job in overdue if job.id not in causes], verdicts)
    return count


def _lost_with_agent(row: Sequence[Any]) -> _Lost:
    job_id, run_id, lease_until, recoveries, batch_id, agent, last_at = row
    cause = recovery.silence(agent, last_at.astimezone(UTC))
    return _Lost(job_id, run_id, lease_until, recoveries, batch_id, cause)


def _is_ours(cursor: CursorWrapper) -> bool:
    cursor.execute(RECOVERY["only_one"])
    (is_ours,) = cursor.fetchone()
    return bool(is_ours)


def _verdicts(
    cursor: CursorWrapper, overdue: Sequence[_Overdue], now: datetime
) -> dict[int, Patience | Loss]:
    if not overdue:
        return {}
    typical = _typical(cursor, {job.kind for job in overdue})
    waiting = [job for job in overdue if job.phase == Phase.REQUESTED]
    sent = [job for job in waiting if job.sent_at is not None]
    queues = _queues(cursor, {job.queue for job in sent}, now)
    overtaken = _overtaken(cursor, [job.id for job in sent])
    verdicts: dict[int, Patience | Loss] = {}
    for job in overdue:
        usual = typical.get(job.kind, Typical())
        if job.phase == Phase.REQUESTED:
            waited = Waiting(job.sent_at, overtaken.get(job.id), job.recoveries)
            queue = queues.get(job.queue, QueueNow())
            verdicts[job.id] = recovery.judge_waiting(waited, usual, queue, now)
        else:
            verdicts[job.id] = recovery.judge_running(
                job.agent, job.began_at, usual, job.recoveries, now
            )
    return verdicts


def _typical(
    cursor: CursorWrapper, kinds: Collection[tuple[int, str]]
) -> dict[tuple[int, str], Typical]:
    instrument_ids, steps = zip(*sorted(kinds), strict=True)
    cursor.execute(
        RECOVERY["typical"], {"instrument_ids": list(instrument_ids), "steps": list(steps)}
    )
    return {
        (instrument_id, step): Typical(waiting, running)
        for instrument_id, step, waiting, running in cursor.fetchall()
    }


def _queues(cursor: CursorWrapper, queues: Collection[str], now: datetime) -> dict[str, QueueNow]:
    if not queues:
        return {}
    cursor.execute(
        RECOVERY["queues"],
        {
            "queues": sorted(queues),
            "now": now,
            "late": AGENT_LATE.total_seconds(),
            "old_late": OLD_AGENT_LATE.total_seconds(),
            "steps": _STEPS,
        },
    )
    return {queue: QueueNow(*content) for queue, *content in cursor.fetchall()}


def _overtaken(cursor: CursorWrapper, job_ids: Sequence[int]) -> dict[int, datetime]:
    if not job_ids:
        return {}
    cursor.execute(RECOVERY["overtaken"], {"ids": list(job_ids), "first": min(job_ids)})
    return dict(cursor.fetchall())


def _extend(jobs: Sequence[_Overdue], verdicts: Mapping[int, Patience | Loss]) -> None:
    """In a transaction of its own, without runs: jobs are locked once, in order."""
    if not jobs:
        return
    until = {
        job_id: verdict.until
        for job_id, verdict in verdicts.items()
        if isinstance(verdict, Patience)
    }
    ids = [job.id for job in jobs]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RECORD["lock_jobs"], {"ids": ids})
        cursor.execute(
            RECOVERY["extend"],
            {
                "ids": ids,
                "seen": [job.lease_until for job in jobs],
                # A step that a route added may have no reports: nobody waits for it for ever.
                "until": [until.get(job.id) for job in jobs],
            },
        )


def _send_again(
    cursor: CursorWrapper, lost: Sequence[_Lost], most_recoveries: int, at: datetime
) -> int:
    """End these attempts and begin others, but for those that were reported of meanwhile."""
    if not lost:
        return 0
    runs = _lock_runs(cursor, {each.run_id for each in lost})
    still = [
        (each, runs[each.run_id], job)
        for each in lost
        if (job := _unchanged(runs[each.run_id].locked.ledger, each)) is not None
    ]
    bodies = _sent_bodies(cursor, [job for _, _, job in still])
    begun = []
    for each, run, job in still:
        body = _complete(bodies.get(job.job_id or 0, {}), run.body)
        may_follow = each.recoveries < most_recoveries
        attempt = _following(run.locked.ledger, job, each.cause, body, at) if may_follow else None
        if attempt is not None:
            run.locked.events.append(_sent_event(run, attempt, body, at))
            begun.append((each, attempt))
        _end(each, run, job, attempt, at)
    changed = {run.locked.run_id: run for _, run, _ in still}
    written = rows.write(cursor, [run.locked for run in changed.values()])
    _count_recoveries(cursor, begun)
    if written.has_messages:
        services.notify(cursor, services.OUTBOX)
    if written.has_ended:
        services.notify(cursor, services.JOBS)
    keys = services.changed_keys([(run.instrument, run.number) for run in changed.values()])
    services.notify(cursor, services.CHANGES, keys)
    return len(still)


def _lock_runs(cursor: CursorWrapper, run_ids: Iterable[int]) -> dict[int, _Run]:
    cursor.execute(RECOVERY["lock_runs"], {"run_ids": list(run_ids)})
    columns = [column.name for column in cursor.description]
    found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    runs = {row["run_id"]: _run(row) for row in found}
    rows.read_jobs(cursor, [run.locked for run in runs.values()])
    return runs


def _run(row: Mapping[str, Any]) -> _Run:
    columns = ("facility", "instrument", "proposal", "number", "data_file")
    body = body_of_run(**{name: row[name] for name in columns})
    ledger = RunLedger(data_ready_at=row["data_ready_at"])
    locked = LockedRun(row["run_id"], row["instrument_id"], ledger)
    return _Run(locked, row["instrument"], row["number"], body)


def _unchanged(ledger: RunLedger, lost: _Lost) -> JobRecord | None:
    """Every report changes the lease: one that came before the lock tells that somebody lives."""
    job = next(job for job in ledger.jobs if job.job_id == lost.job_id)
    return job if job.lease_until == lost.lease_until else None


def _sent_bodies(cursor: CursorWrapper, jobs: Sequence[JobRecord]) -> dict[int, Mapping[str, Any]]:
    """The messages of these attempts, whole; history may have been dropped by now."""
    if not jobs:
        return {}
    cursor.execute(
        RECOVERY["sent_bodies"],
        {
            "queues": [job.queue for job in jobs],
            "message_ids": [rows.job_identity(job) for job in jobs],
        },
    )
    return {job_id: _object(body) for job_id, body in cursor.fetchall()}


def _following(
    ledger: RunLedger, job: JobRecord, cause: str, body: Mapping[str, Any], at: datetime
) -> JobRecord | None:
    """The next attempt, unless somebody asked for one meanwhile."""
    if _newer(ledger, job) is not None:
        return None
    attempts = [each.attempt for each in ledger.jobs if each.step == job.step]
    following = JobRecord(
        step=job.step,
        attempt=max(attempts) + 1,
        queue=job.queue,
        requested_by="recovery",
        reason=recovery.reason(cause, job.attempt),
        requested_at=at,
        priority=job.priority,
        lease_until=at + leases.WAIT,
        body=body,
    )
    ledger.jobs.append(following)
    return following


def _newer(ledger: RunLedger, job: JobRecord) -> JobRecord | None:
    newest = ledger.newest(job.step)
    return newest if newest is not None and newest.attempt > job.attempt else None


def _end(lost: _Lost, run: _Run, job: JobRecord, begun: JobRecord | None, at: datetime) -> None:
    """The attempt failed, and says what became of it; so does the run's history."""
    newer = _newer(run.locked.ledger, job)
    job.has_changed = True
    job.phase = Phase.FAILED
    job.ended_at = at
    job.lease_until = None
    job.error = recovery.error(
        lost.cause,
        newer.attempt if newer else None,
        lost.recoveries,
        is_newer=newer is not begun,
    )
    run.locked.events.append(_remark(run, job, at))


def _sent_event(run: _Run, job: JobRecord, body: Mapping[str, Any], at: datetime) -> Event:
    return Event(run.locked.run_id, job.queue, "", at, None, job, "", "", body)


def _remark(run: _Run, job: JobRecord, at: datetime) -> Event:
    words = recovery.remark(job.step, run.instrument, run.number, job.error)
    identity = f"recovery {rows.job_identity(job)}"
    body = {**run.body, "information": words}
    return Event(
        run.locked.run_id, names.POSTPROCESS_INFO, identity, at, None, job, words, "", body
    )


def _count_recoveries(cursor: CursorWrapper, begun: Sequence[tuple[_Lost, JobRecord]]) -> None:
    if begun:
        cursor.execute(
            RECOVERY["count_recoveries"],
            {
                "ids": [attempt.job_id for _, attempt in begun],
                "recoveries": [each.recoveries + 1 for each, _ in begun],
                "batch_ids": [each.batch_id for each, _ in begun],
            },
        )


def _complete(sent: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent before, with what an agent needs and it lacked."""
    return {**sent, **{key: value for key, value in known.items() if not sent.get(key)}}


def _object(body: Any) -> Mapping[str, Any]:
    """A raw cursor gives JSON as text."""
    content: Mapping[str, Any] = json.loads(body) if isinstance(body, str) else body
    return content
