"""One run's jobs while messages about the run are read: what happened, and what follows.

Pure: it is filled from rows, takes messages in any order, and says which jobs are new, which
changed, and what to send. `services.record` writes that down.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from workflow_manager.domain import destinations as names
from workflow_manager.domain import leases
from workflow_manager.domain.priorities import FRESH
from workflow_manager.domain.rules import Rule, rule_for, step_of
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.protocol.messages import RunMessage

# What was said about the last step is not forwarded: by anybody, and by an agent in its report.
_SAID = frozenset({"information", "error", "job_id", "attempt", "reason"})
_REPORTED = _SAID | {
    *("error_detail", "exit_code", "agent", "started_at", "ended_at", "peak_memory"),
}
# No job runs longer: a clock was set in between, or somebody makes it up.
_LONGEST = timedelta(days=30)
_INT4 = range(-(2**31), 2**31)
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PERSON = re.compile(r"Requested by (\S+)")
_QUEUE_OF_STEP: Mapping[str, str] = {
    Step.CATALOGUING: names.CATALOG_JOBS,
    Step.REDUCTION: names.REDUCTION_JOBS,
    Step.REDUCTION_CATALOGUING: names.REDUCTION_CATALOG_JOBS,
}


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """One attempt at one step. `job_id` is None until the database has given it a number."""

    job_id: int | None = None
    step: str
    attempt: int
    queue: str
    phase: Phase = Phase.REQUESTED
    requested_by: str
    reason: str = ""
    requested_at: datetime
    priority: int = FRESH
    started_at: datetime | None = None
    ended_at: datetime | None = None
    agent: str = ""
    error: str = ""
    exit_code: int | None = None
    is_held: bool = False
    is_cancelled: bool = False
    lease_until: datetime | None = None
    body: Mapping[str, Any] | None = None
    has_changed: bool = False

    def report(self, phase: Phase, message: RunMessage, at: datetime) -> None:
        """Take in a report about this attempt: its phase only moves up."""
        self.has_changed = True
        # A database that was restored may hold what had left: somebody has it.
        self.is_held = False
        self.agent = agent_of(message) or self.agent
        if phase < self.phase and phase != Phase.STARTED:
            # Two ends of one attempt contradict each other: the better one stands, whole.
            return
        self.phase = max(self.phase, phase)
        self.lease_until = None if self.phase.is_final else at + leases.RUN
        if phase == Phase.STARTED:
            self.started_at = self.started_at or at
            return
        self.ended_at = at
        self.error = _error(message) if self.phase == Phase.FAILED else ""
        self.exit_code = _exit_code(message)
        self.started_at = _start(message, at) or self.started_at


@dataclass(slots=True)
class RunLedger:
    """The jobs of one run, by step; messages are taken in with `receive`.

    `routes` are those of the run's instrument by input queue; `holds_jobs` is true where the
    instrument has a limit: its jobs wait in the database until `dispatch` lets them go.
    """

    jobs: list[JobRecord] = field(default_factory=list)
    data_ready_at: datetime | None = None
    routes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    holds_jobs: bool = False

    def receive(self, message: RunMessage, at: datetime) -> JobRecord | None:
        """Take in one message; return the job that it is about, if it is about one."""
        rule = rule_for(message.queue)
        if message.queue == names.POSTPROCESS_DATA_READY:
            self.data_ready_at = self.data_ready_at or at
        job = self._reported_job(rule, message, at)
        if job is None or rule.phase is None:
            self._go_on(rule, message, at, job)
            return job
        before = job.phase
        job.report(rule.phase, message, at)
        # What was said before is said twice, and what an old attempt brought in the end is
        # history: only news of the newest moves the run on.
        if job.phase != before and job is self._newest_sent(job.step):
            self._go_on(rule, message, at, job)
        return job

    @property
    def is_open(self) -> bool:
        """Whether something that was asked for waits here, or a report about it is awaited."""
        return any(job.is_held or job.lease_until is not None for job in self.jobs)

    def newest(self, step: str) -> JobRecord | None:
        """The newest attempt at a step that was not cancelled."""
        return self._newest(job for job in self.jobs if job.step == step)

    def is_stopped_by_route(self, queue: str) -> bool:
        """Whether the instrument's route sends nothing after a message on this queue."""
        return queue in self.routes and not self.routes[queue] and bool(rule_for(queue).then)

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

    def _newest_sent(self, step: str) -> JobRecord | None:
        """An attempt that waits here says nothing yet about those that agents have."""
        return self._newest(job for job in self.jobs if job.step == step and not job.is_held)

    @staticmethod
    def _newest(attempts: Iterable[JobRecord]) -> JobRecord | None:
        counted = (job for job in attempts if not job.is_cancelled)
        return max(counted, key=lambda job: job.attempt, default=None)

    def _reported_job(self, rule: Rule, message: RunMessage, at: datetime) -> JobRecord | None:
        if rule.phase is None:
            return None
        job = self.referenced(message)
        if job is not None:
            return job
        if rule.step is None:
            return self._oldest_untouched()
        known = self._newest_sent(rule.step) or self.newest(rule.step)
        return known or self._unasked(rule.step, message, at)

    def _oldest_untouched(self) -> JobRecord | None:
        """An agent that names no job and could not begin: the first that nobody has begun."""
        sent = (job for job in self.jobs if not job.is_held and not job.is_cancelled)
        untouched = (job for job in sent if job.phase == Phase.REQUESTED)
        return min(untouched, key=lambda job: job.requested_at, default=None)

    def _unasked(self, step: str, message: RunMessage, at: datetime) -> JobRecord | None:
        """A report about a step that nobody here asked for: an attempt that was done elsewhere.

        Only of the steps that every run has: another name may mean anything.
        """
        if step not in _QUEUE_OF_STEP:
            return None
        return self._add(step, _QUEUE_OF_STEP[step], requested_by=message.queue, requested_at=at)

    def _go_on(
        self, rule: Rule, message: RunMessage, at: datetime, reported: JobRecord | None
    ) -> None:
        """Ask for what comes next: what the rule says, unless the instrument has a route."""
        route = self.routes.get(message.queue)
        targets = rule.then if route is None else route
        for queue in targets:
            self._request(queue, message, at, reported.priority if reported else FRESH)
        served = {step_of(queue) for queue in targets}
        for step in map(step_of, rule.then):
            if step not in served and self.newest(step) is None:
                self._leave_out(step, message, at)

    def _request(self, queue: str, message: RunMessage, at: datetime, priority: int) -> None:
        self._add(
            step_of(queue),
            queue,
            requested_by=_requested_by(message),
            reason=_reason(message),
            requested_at=at,
            priority=priority,
            is_held=self.holds_jobs,
            lease_until=None if self.holds_jobs else at + leases.WAIT,
            body=_forwarded(message),
        )

    def _leave_out(self, step: str, message: RunMessage, at: datetime) -> None:
        """A route sends the run past a step: that is a decision, and people should see it."""
        self._add(
            step,
            _QUEUE_OF_STEP[step],
            phase=Phase.SKIPPED,
            requested_by=message.queue,
            reason=f"The route of {message.instrument.upper()} for {message.queue} leaves it out.",
            requested_at=at,
            ended_at=at,
        )

    def _add(self, step: str, queue: str, **content: Any) -> JobRecord:
        attempts = [job.attempt for job in self.jobs if job.step == step]
        job = JobRecord(step=step, queue=queue, attempt=max(attempts, default=0) + 1, **content)
        self.jobs.append(job)
        return job


def _requested_by(message: RunMessage) -> str:
    """The person, where a wish names one, or the queue."""
    person = _PERSON.match(message.information or "")
    return person[1] if person and rule_for(message.queue).phase is None else message.queue


def _reason(message: RunMessage) -> str:
    reason = message.body.get("reason")
    is_wish = rule_for(message.queue).phase is None
    return reason if is_wish and isinstance(reason, str) else ""


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


def agent_of(message: RunMessage) -> str:
    """The host name of the agent that sent a report; empty if it does not tell."""
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
        is_usable = timedelta(0) <= ended - started <= _LONGEST
        return end - (ended - started) if is_usable else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
