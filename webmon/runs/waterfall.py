"""The attempts at a run's steps on a common time axis: who waited where, and what took how long.

Attempts lie as far apart as people ask for them, today and a year later. So each stretch of time
in which something was under way has an axis of its own, and a pause is told, not drawn.
"""

import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from webmon.runs.verdict import first_line, without_step
from webmon.runs.words import asked_by
from workflow_manager.domain.steps import Phase, step_label
from workflow_manager.selectors import FollowedJob

# Longer than the moment between a report and what follows it, shorter than a person's decision.
PAUSE = dt.timedelta(seconds=30)


class Fate(enum.StrEnum):
    """What became of an attempt, or how far it is."""

    HELD = "held"
    REQUESTED = "requested"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        return self in {Fate.HELD, Fate.REQUESTED, Fate.STARTED}


class Part(enum.StrEnum):
    """What an attempt does during a bar."""

    HERE = "waiting here"
    FOR_AGENT = "waiting for an agent"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of an attempt; both times lie within the axis."""

    part: Part
    begins_at: dt.datetime
    ends_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one step; times are None while they have not happened.

    `waited` and `ran` are None until they are over; `asked` says who or what asked for it.
    """

    id: int
    step: str
    label: str
    number: int
    queue: str
    fate: Fate
    agent: str
    exit_code: int | None
    asked: str
    reason: str
    batch: int | None
    recoveries: int
    requested_at: dt.datetime
    sent_at: dt.datetime | None
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    followed_at: dt.datetime | None
    waited: dt.timedelta | None
    ran: dt.timedelta | None
    problem: str
    error: str
    bars: tuple[Bar, ...]

    @property
    def held_for(self) -> dt.timedelta | None:
        """How long a cancelled attempt was kept here."""
        return _between(self.requested_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Attempts between two pauses, in the order in which they were asked for, on one axis."""

    begins_at: dt.datetime
    ends_at: dt.datetime
    attempts: tuple[Attempt, ...]

    @property
    def lasts(self) -> dt.timedelta:
        return self.ends_at - self.begins_at


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Stretches newest first; `older` is the `attempts` of the next part, empty at the end."""

    stretches: tuple[Stretch, ...]
    is_open: bool
    is_first_part: bool
    older: str


def waterfall(
    jobs: Sequence[FollowedJob], now: dt.datetime, *, is_first_part: bool = True, older: str = ""
) -> Waterfall:
    """The attempts of these jobs, whatever order they come in."""
    attempts = sorted((attempt(job, now) for job in jobs), key=lambda a: (a.requested_at, a.id))
    stretches = tuple(reversed(list(_stretches(attempts))))
    is_open = any(each.fate.is_open for each in attempts)
    return Waterfall(stretches, is_open, is_first_part, older)


def attempt(followed: FollowedJob, now: dt.datetime) -> Attempt:
    """One job as people see it."""
    job, fate = followed.job, _fate(followed)
    return Attempt(
        id=job.id,
        step=job.step,
        label=step_label(job.step),
        number=job.attempt,
        queue=job.queue,
        fate=fate,
        agent=job.agent,
        exit_code=job.exit_code,
        asked=asked_by(job.requested_by),
        reason=job.reason,
        batch=job.batch_id,
        recoveries=job.recoveries,
        requested_at=job.requested_at,
        sent_at=job.sent_at,
        started_at=job.started_at,
        ended_at=job.ended_at or job.cancelled_at,
        followed_at=followed.followed_at,
        waited=_between(job.requested_at, job.started_at),
        ran=_between(job.started_at, job.ended_at),
        problem=first_line(without_step(job.error)),
        error=job.error,
        bars=_bars(followed, fate, now),
    )


def _fate(followed: FollowedJob) -> Fate:
    job = followed.job
    if job.cancelled_at is not None:
        return Fate.CANCELLED
    phase = Phase(job.phase)
    if not phase.is_final and followed.followed_at is not None:
        return Fate.SUPERSEDED
    return Fate.HELD if job.is_held else Fate(phase.word)


def _bars(followed: FollowedJob, fate: Fate, now: dt.datetime) -> tuple[Bar, ...]:
    """The parts one after the other; clocks may disagree, so each begins where one ended."""
    job = followed.job
    if fate is Fate.SKIPPED and job.started_at is None:
        return ()
    followed_at = None if fate.is_open else followed.followed_at
    begin = job.requested_at
    end = max(job.ended_at or job.cancelled_at or followed_at or now, begin)
    started = _within(begin, job.started_at or end, end)
    # What was reported on has left, though we may not know when.
    sent = _within(begin, job.sent_at or (begin if job.started_at else end), started)
    times = (begin, sent, started, end)
    bars = (Bar(*each) for each in zip(Part, times, times[1:], strict=False))
    has_run = job.started_at is not None
    return tuple(
        bar for bar in bars if bar.ends_at > bar.begins_at or (bar.part is Part.RUNNING and has_run)
    )


def _between(begin: dt.datetime | None, end: dt.datetime | None) -> dt.timedelta | None:
    return None if begin is None or end is None else max(end - begin, dt.timedelta())


def _within(first: dt.datetime, at: dt.datetime, last: dt.datetime) -> dt.datetime:
    return min(max(first, at), last)


def _stretches(attempts: Iterable[Attempt]) -> Iterable[Stretch]:
    """Put what overlaps or follows closely on one axis."""
    present: Stretch | None = None
    for each in attempts:
        begin, end = each.requested_at, _end(each)
        if present is None or begin - present.ends_at > PAUSE:
            if present is not None:
                yield present
            present = Stretch(begin, end, (each,))
        else:
            ends_at = max(present.ends_at, end)
            present = replace(present, ends_at=ends_at, attempts=(*present.attempts, each))
    if present is not None:
        yield present


def _end(each: Attempt) -> dt.datetime:
    return max((bar.ends_at for bar in each.bars), default=each.requested_at)
