"""When silence about a job is too long, and what people read about it. Pure.

A job that runs is judged by the times of its instrument. A job that waits in the broker is not:
a long queue, or agents that are off for a weekend, are normal, and sending again would only pile
up copies. It is lost if others overtook it, or if nobody takes it although somebody could.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from workflow_manager.domain import leases
from workflow_manager.domain.steps import Step

MOST_RECOVERIES = 3
# Agents end a job themselves after an hour, unless they are told otherwise, and report that.
LEAST_RUN = timedelta(minutes=75)
_TIMES_TYPICAL = 3
# Times that somebody made up, or that span a clock's correction, shall not switch this off.
_LONGEST = timedelta(days=30)
_LOOK_AGAIN = timedelta(minutes=5)

_INCOMPLETE = {
    Step.CATALOGUING: "Cataloging incomplete",
    Step.REDUCTION: "Reduction incomplete",
    Step.REDUCTION_CATALOGUING: "Reduction cataloging incomplete",
}


@dataclass(frozen=True, slots=True)
class Typical:
    """What 95 of 100 jobs of the instrument and step needed at most; None where none ended."""

    waiting: timedelta | None = None
    running: timedelta | None = None


@dataclass(frozen=True, slots=True)
class QueueNow:
    """What is known of the readers of a queue.

    `old_busy_since` is the start of the longest job at an agent that does not tell its slots: such
    an agent takes a message while it works, and keeps it from the others. `has_free_agent` is true
    if an agent that took jobs of this queue lately could take another.
    """

    has_agent: bool = False
    has_free_agent: bool = False
    old_busy_since: datetime | None = None
    last_start_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """It is not too late; look again at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """It is given up on; `cause` is the beginning of a sentence."""

    cause: str


def limit(typical: timedelta | None, floor: timedelta, recoveries: int) -> timedelta:
    """How long is too long; each time that it was sent again doubles it."""
    usual = _TIMES_TYPICAL * typical if typical else timedelta(0)
    return min(max(floor, usual) * float(2 ** min(recoveries, 10)), _LONGEST)


def judge_running(
    agent: str, began_at: datetime, typical: Typical, recoveries: int, now: datetime
) -> Patience | Loss:
    """A job that `agent` told it has started at `began_at`."""
    allowed = limit(typical.running, LEAST_RUN, recoveries)
    if now < began_at + allowed:
        return Patience(began_at + allowed)
    where = f"at {agent}" if agent else "at an agent that did not tell its name"
    return Loss(
        f"No end was reported in {_words(now - began_at)} since it started {where}"
        f" (the limit is {_words(allowed)})"
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job of which no agent said that it started. `sent_at` is None while it is in the outbox.

    `overtaken_at` is when the first job started that was sent later to the same queue.
    """

    sent_at: datetime | None
    overtaken_at: datetime | None = None
    recoveries: int = 0


def judge_waiting(
    job: Waiting, typical: Typical, queue: QueueNow, now: datetime
) -> Patience | Loss:
    """Waiting alone is never too long."""
    allowed = limit(typical.waiting, leases.WAIT, job.recoveries)
    sent_at, overtaken_at = job.sent_at, job.overtaken_at
    patience = Patience(now + _LOOK_AGAIN)
    if sent_at is None or not queue.has_agent:
        return patience
    if overtaken_at is not None and not _may_be_held(overtaken_at, queue):
        if now < overtaken_at + allowed:
            return Patience(overtaken_at + allowed)
        return Loss(
            f"No agent took it, though jobs that were sent later were started"
            f" {_words(now - overtaken_at)} ago"
        )
    moved_at = max(sent_at, queue.last_start_at or sent_at)
    if queue.has_free_agent and now >= moved_at + allowed:
        return Loss(f"No agent took it in {_words(now - sent_at)}, though one was free")
    return patience


def _may_be_held(overtaken_at: datetime, queue: QueueNow) -> bool:
    """Whether an agent that was busy all the time may have it in its hands."""
    return queue.old_busy_since is not None and queue.old_busy_since <= overtaken_at


def silence(agent: str, last_at: datetime) -> str:
    """The cause, where an agent is gone."""
    return f"Agent {agent} fell silent at {last_at:%Y-%m-%d %H:%M:%S} UTC"


def error(cause: str, next_attempt: int | None, recoveries: int, *, is_newer: bool) -> str:
    """What the attempt failed of. `is_newer`: the next attempt was asked for by somebody else."""
    if next_attempt is not None and is_newer:
        return f"{cause}; attempt {next_attempt} had been asked for meanwhile."
    if next_attempt is not None:
        return f"{cause}; the job was sent again as attempt {next_attempt}."
    if recoveries:
        times = "time" if recoveries == 1 else "times"
        return f"Given up after {recoveries} {times} of sending it again: {cause}."
    return f"{cause}; it was not sent again, because that is switched off."


def reason(cause: str, attempt: int) -> str:
    """Why there is another attempt after this one."""
    return f"{cause} (attempt {attempt})."


def remark(step: str, instrument: str, number: int, words: str) -> str:
    """The run's history, in the words that the contract has for it."""
    return f"{_INCOMPLETE[Step(step)]} for {instrument}_{number}: {words}"


def _words(length: timedelta) -> str:
    """A length of time with its two largest units."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
