"""One run's jobs while messages about the run are read: what happened, and what follows.

Pure: it is filled from rows, takes messages in any order, and says which jobs are new, which
changed, and what to send. `services.record` writes that down.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import JOB_QUEUES, Rule, rule_for
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.protocol.messages import RunMessage

# What was said about the last step is not forwarded: by anybody, and by an agent in its report.
_SAID = frozenset({"information", "error", "job_id", "attempt"})
_REPORTED = _SAID | {
    *("error_detail", "exit_code", "agent", "started_at", "ended_at", "peak_memory"),
}
_INT4 = range(-(2**31), 2**31)
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_QUEUE_OF_STEP = {
    Step.CATALOGUING: names.CATALOG_JOBS,
    Step.REDUCTION: names.REDUCTION_JOBS,
    Step.REDUCTION_CATALOGUING: names.REDUCTION_CATALOG_JOBS,
}


@dataclass(slots=True)
class JobRecord:
    """One attempt at one step. `job_id` is None until the database has given it a number."""

    job_id: int | None
    step: Step
    attempt: int
    queue: str
    phase: Phase
    requested_by: str
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    agent: str = ""
    error: str = ""
    exit_code: int | None = None
    body: Mapping[str, Any] | None = None
    has_changed: bool = False

    def report(self, phase: Phase, message: RunMessage, at: datetime) -> None:
        """Take in a report about this attempt: its phase only moves up."""
        self.has_changed = True
        self.phase = max(self.phase, phase)
        self.agent = _agent(message) or self.agent
        if phase == Phase.STARTED:
            self.started_at = self.started_at or at
            return
        self.ended_at = at
        self.error = _error(message) if self.phase == Phase.FAILED else ""
        self.exit_code = _exit_code(message)
        self.started_at = _start(message, at) or self.started_at


@dataclass(slots=True)
class RunLedger:
    """The jobs of one run, by step; messages are taken in with `receive`."""

    jobs: list[JobRecord] = field(default_factory=list)
    data_ready_at: datetime | None = None

    def receive(self, message: RunMessage, at: datetime) -> JobRecord | None:
        """Take in one message; return the job that it is about, if it is about one."""
        rule = rule_for(message.queue)
        if message.queue == names.POSTPROCESS_DATA_READY:
            self.data_ready_at = self.data_ready_at or at
        job = self._reported_job(rule, message, at)
        if job is not None and rule.phase is not None:
            job.report(rule.phase, message, at)
        # What an old attempt brought in the end is history; only the newest moves the run on.
        if job is None or job is self.newest(job.step):
            for queue in rule.then:
                self._request(queue, message, at)
        return job

    def newest(self, step: Step) -> JobRecord | None:
        """The newest attempt at a step."""
        attempts = [job for job in self.jobs if job.step == step]
        return max(attempts, key=lambda job: job.attempt, default=None)

    def phases(self) -> dict[Step, Phase]:
        """How far each step is, by its newest attempt."""
        newest = {step: self.newest(step) for step in Step}
        return {step: job.phase if job else Phase.WAITING for step, job in newest.items()}

    def referenced(self, message: RunMessage) -> JobRecord | None:
        """The job of this run that the message names, if it names one."""
        if message.job is None:
            return None
        wanted = (message.job.job_id, message.job.attempt)
        return next((job for job in self.jobs if (job.job_id, job.attempt) == wanted), None)

    def _reported_job(self, rule: Rule, message: RunMessage, at: datetime) -> JobRecord | None:
        if rule.phase is None:
            return None
        job = self.referenced(message)
        if job is not None:
            return job
        if rule.step is None:
            return self._oldest_untouched()
        return self.newest(rule.step) or self._unasked(rule.step, message, at)

    def _oldest_untouched(self) -> JobRecord | None:
        """An agent that names no job and could not begin: the first that nobody has begun."""
        untouched = (job for job in self.jobs if job.phase == Phase.REQUESTED)
        return min(untouched, key=lambda job: job.requested_at, default=None)

    def _unasked(self, step: Step, message: RunMessage, at: datetime) -> JobRecord:
        """A report about a step that nobody here asked for: its first attempt, done elsewhere."""
        job = JobRecord(
            None, step, 1, _QUEUE_OF_STEP[step], Phase.REQUESTED, message.queue, requested_at=at
        )
        self.jobs.append(job)
        return job

    def _request(self, queue: str, message: RunMessage, at: datetime) -> None:
        step = JOB_QUEUES[queue]
        newest = self.newest(step)
        self.jobs.append(
            JobRecord(
                job_id=None,
                step=step,
                attempt=newest.attempt + 1 if newest else 1,
                queue=queue,
                phase=Phase.REQUESTED,
                requested_by=message.queue,
                requested_at=at,
                body=_forwarded(message),
            )
        )


def _forwarded(message: RunMessage) -> dict[str, Any]:
    """The body for the next agent: all that came, less what was said about the last step."""
    left_out = _SAID if rule_for(message.queue).phase is None else _REPORTED
    body = {key: value for key, value in message.body.items() if key not in left_out}
    known = {
        "facility": message.facility,
        "instrument": message.instrument,
        "ipts": message.proposal,
        "run_number": message.run_number,
        "data_file": message.data_file,
    }
    return body | {key: value for key, value in known.items() if value and not body.get(key)}


def _agent(message: RunMessage) -> str:
    for text in (message.body.get("agent"), message.information):
        if isinstance(text, str) and _HOST_NAME.fullmatch(text):
            return text
    return ""


def _error(message: RunMessage) -> str:
    detail = message.body.get("error_detail")
    if not isinstance(detail, str) or not detail.strip():
        return message.error or ""
    return f"{message.error}\n\n{detail}" if message.error else detail


def _exit_code(message: RunMessage) -> int | None:
    code = message.body.get("exit_code")
    return code if type(code) is int and code in _INT4 else None


def _start(message: RunMessage, end: datetime) -> datetime | None:
    """The agent's own clock is good for differences, whatever hour it shows."""
    try:
        started, ended = (
            datetime.fromisoformat(message.body[key]) for key in ("started_at", "ended_at")
        )
        return end - (ended - started) if ended >= started else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
