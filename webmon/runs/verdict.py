"""The first sentence of a run page: what became of the run, made from facts only."""

import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from webmon.ui.durations import words
from workflow_manager.domain.states import RunState, run_state
from workflow_manager.domain.steps import Phase, Step

_STEP_NAME = re.compile(r"\A\s*(REDUCTION|Reduction|CATALOG|Catalog)\w*:\s*")


class Tone(enum.StrEnum):
    """How a sentence is coloured; the words say the same."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    CALM = "calm"


class WhyNotReduced(enum.StrEnum):
    """Why a reduction was skipped."""

    NO_SCRIPT = "no script"
    NOT_NEEDED = "not needed"
    ROUTE = "route"
    UNKNOWN = "unknown"


class Waits(enum.StrEnum):
    """What a step that was asked for, and that nobody has begun, waits for."""

    PAUSED = "its batch is paused"
    BATCH = "its turn in its batch"
    LIMIT = "the instrument's limit"
    TURN = "its turn"
    BROKER = "the broker"
    SENDING = "being sent"
    NO_AGENT = "an agent that lives"
    AGENT = "a free agent"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a step waits: for what, and the facts that the sentence about it needs."""

    waits: Waits
    instrument: str = ""
    batch: int = 0
    batch_of: str = ""
    limit: int = 0

    @property
    def words(self) -> str:
        """The reason as the end of a sentence."""
        return _WHY_IT_WAITS[self.waits].format(
            instrument=self.instrument.upper(),
            batch=self.batch,
            batch_of=self.batch_of,
            limit=self.limit,
        )


_WHY_IT_WAITS = {
    Waits.PAUSED: "batch {batch} of {batch_of} is paused",
    Waits.BATCH: "batch {batch} of {batch_of} goes on when fresh runs leave agents free",
    Waits.LIMIT: "no more than {limit} jobs of {instrument} may be under way at once",
    Waits.TURN: "it is held here until its turn",
    Waits.BROKER: "no workflow manager is connected to the broker, so nothing is sent",
    Waits.SENDING: "its message is not sent yet",
    Waits.NO_AGENT: "no agent gives a sign of life",
    Waits.AGENT: "no agent has taken it yet",
}


@dataclass(frozen=True, slots=True)
class StepFacts:
    """The newest attempt at a step; times are None while they have not happened."""

    step: Step
    phase: Phase
    attempt: int = 0
    agent: str = ""
    requested_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    error: str = ""
    reason: str = ""
    wait: Wait | None = None

    @property
    def waited(self) -> dt.timedelta | None:
        """From the request until an agent began."""
        return _between(self.requested_at, self.started_at)

    @property
    def ran(self) -> dt.timedelta | None:
        return _between(self.started_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a verdict is made from; `steps` has every step."""

    instrument: str
    created_at: dt.datetime
    data_ready_at: dt.datetime | None
    steps: Mapping[Step, StepFacts]
    why_not_reduced: WhyNotReduced = WhyNotReduced.UNKNOWN

    @property
    def phases(self) -> dict[Step, Phase]:
        return {step: facts.phase for step, facts in self.steps.items()}

    @property
    def state(self) -> RunState:
        return run_state(self.phases, has_data=self.data_ready_at is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence; between `before` and `after` stands the ticking age of `since`, if any."""

    tone: Tone
    before: str
    since: dt.datetime | None = None
    after: str = ""


def verdict(run: RunFacts) -> Verdict:
    """The sentence about a run. The reduction decides; the other steps are told when they fail."""
    if run.state is RunState.ACQUIRING:
        return Verdict(Tone.BUSY, "Acquiring since ", run.created_at, ".")
    reduction = run.steps[Step.REDUCTION]
    return _WORDED[reduction.phase](run, reduction)


def first_line(text: str) -> str:
    """The first line of a text that says something."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line), "")


def without_step(error: str) -> str:
    """The error without the step's name, with which agents begin it."""
    return _STEP_NAME.sub("", error)


def _waiting(run: RunFacts, reduction: StepFacts) -> Verdict:
    failed = _failed_catalogue(run)
    if failed:
        return Verdict(Tone.BAD, f"Not reduced yet. {failed}")
    since = run.data_ready_at or run.created_at
    return Verdict(Tone.BUSY, "Waiting since ", since, ": no reduction was requested yet.")


def _requested(run: RunFacts, reduction: StepFacts) -> Verdict:
    since = reduction.requested_at or run.data_ready_at or run.created_at
    wait = reduction.wait or Wait(Waits.AGENT)
    rest = f": {wait.words}." + _and(_failed_catalogue(run))
    return Verdict(Tone.BUSY, "Waiting for reduction since ", since, rest)


def _started(run: RunFacts, reduction: StepFacts) -> Verdict:
    rest = f"{_by(reduction)}." + _and(_failed_catalogue(run))
    if reduction.started_at is None:
        return Verdict(Tone.BUSY, f"Reducing{rest}")
    return Verdict(Tone.BUSY, "Reducing since ", reduction.started_at, rest)


def _failed(run: RunFacts, reduction: StepFacts) -> Verdict:
    after = f" after {words(reduction.ran)}" if reduction.ran is not None else ""
    on = f" on agent {reduction.agent}" if reduction.agent else ""
    reason = without_step(reduction.error)
    line = first_line(reason)
    if not line:
        return Verdict(Tone.BAD, f"Reduction failed{after}{on}. The agent gave no reason.")
    whole = " The whole error is below." if line != reason.strip() else ""
    return Verdict(Tone.BAD, f"Reduction failed{after}{on}: {_sentence(line)}{whole}")


def _skipped(run: RunFacts, reduction: StepFacts) -> Verdict:
    failed = _failed_catalogue(run)
    tone = Tone.BAD if failed else Tone.CALM
    if run.why_not_reduced is WhyNotReduced.ROUTE:
        return Verdict(tone, f"Not reduced. {reduction.reason}" + _and(failed))
    reason = _WHY_NOT_REDUCED[run.why_not_reduced].format(run.instrument.upper())
    return Verdict(tone, f"Not reduced{reason}." + _and(failed))


def _done(run: RunFacts, reduction: StepFacts) -> Verdict:
    took = f" in {words(reduction.ran)}" if reduction.ran is not None else ""
    sentence = f"Reduced{took}{_by(reduction)}{_after_the_run(run, reduction)}."
    failed = _failed_catalogue(run)
    return Verdict(Tone.BAD if failed else Tone.GOOD, sentence + _and(failed))


_WORDED = {
    Phase.WAITING: _waiting,
    Phase.REQUESTED: _requested,
    Phase.STARTED: _started,
    Phase.FAILED: _failed,
    Phase.SKIPPED: _skipped,
    Phase.DONE: _done,
}

_WHY_NOT_REDUCED = {
    WhyNotReduced.NO_SCRIPT: ": there is no reduction script for {}",
    WhyNotReduced.NOT_NEEDED: ": this run was marked as not needing it",
    WhyNotReduced.UNKNOWN: "",
}


def _failed_catalogue(run: RunFacts) -> str:
    failed = [
        facts
        for step, facts in run.steps.items()
        if step is not Step.REDUCTION and facts.phase is Phase.FAILED
    ]
    return " ".join(f"{facts.step.label} failed{_reason(facts)}" for facts in failed)


def _reason(facts: StepFacts) -> str:
    line = first_line(without_step(facts.error))
    return f": {_sentence(line)}" if line else "."


def _sentence(line: str) -> str:
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _and(sentence: str) -> str:
    return f" {sentence}" if sentence else ""


def _by(facts: StepFacts) -> str:
    return f" by {facts.agent}" if facts.agent else ""


def _after_the_run(run: RunFacts, reduction: StepFacts) -> str:
    """How long after the end of the run its first reduction was ready; later ones do not count."""
    delay = _between(run.data_ready_at, reduction.ended_at)
    if delay is None or reduction.attempt > 1:
        return ""
    return f", {words(delay)} after the run ended"


def _between(start: dt.datetime | None, end: dt.datetime | None) -> dt.timedelta | None:
    return None if start is None or end is None else end - start
