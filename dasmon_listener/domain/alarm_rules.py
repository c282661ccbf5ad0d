"""When a value is an alarm: a rule, and the machine that follows it along samples and the clock.

A value holds until the next sample. What comes out does not depend on how often the clock is told:
every turn has the time at which it was due. So a week of stored samples, fed at once, gives what
was raised while they came, as long as they came in time.

No number (NaN, or a text that is none) is neither above nor below anything: it raises nothing, it
interrupts what has not lasted long enough, and what is raised stays so. Infinite numbers are
numbers.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

_SHORTEST = timedelta(seconds=1)


class Condition(StrEnum):
    ABOVE = "above"
    BELOW = "below"
    OUTSIDE = "outside"
    CHANGED = "changed"
    STALE = "stale"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def needs_low(self) -> bool:
        return self in {Condition.BELOW, Condition.OUTSIDE}

    @property
    def needs_high(self) -> bool:
        return self in {Condition.ABOVE, Condition.OUTSIDE}


_WORDS = {
    Condition.ABOVE: "is above",
    Condition.BELOW: "is below",
    Condition.OUTSIDE: "is out of range",
    Condition.CHANGED: "changed",
    Condition.STALE: "is not updated",
}


class Sample(NamedTuple):
    """What a series was at a time: a number, a text, or a number with the text it came as."""

    at: datetime
    value: float | None
    text: str | None = None

    @property
    def shown(self) -> str:
        if self.text is not None:
            return self.text
        return "nothing" if self.value is None else _number(self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on values. Above needs `high`, below `low`, outside both.

    `hysteresis` is how far inside its limit a value must come back. `duration` is how long the
    condition must last, how old a value may be (stale), or how long after the newest change the
    alarm is over (changed; at least one second).
    """

    condition: Condition
    low: float | None = None
    high: float | None = None
    hysteresis: float = 0.0
    duration: timedelta = timedelta()

    def complaint(self) -> str:
        """What is wrong with it, in a sentence; empty if nothing is."""
        for complaint in (self._about_limits(), self._about_hysteresis(), self._about_duration()):
            if complaint:
                return complaint
        return ""

    @property
    def lowest(self) -> float:
        """What is below is an alarm."""
        return self.low if self.condition.needs_low and self.low is not None else -math.inf

    @property
    def highest(self) -> float:
        """What is above is an alarm."""
        return self.high if self.condition.needs_high and self.high is not None else math.inf

    @property
    def back_from_low(self) -> float:
        """From here on a value that was below is back."""
        return self.lowest + self.hysteresis

    @property
    def back_from_high(self) -> float:
        """Down to here a value that was above must come."""
        return self.highest - self.hysteresis

    @property
    def lasting(self) -> timedelta:
        """The duration; an alarm for a change is there for a second at least."""
        return max(self.duration, _SHORTEST)

    def is_beyond(self, value: float | None) -> bool:
        """Whether a value is above, below or outside as the rule says."""
        return value is not None and (value > self.highest or value < self.lowest)

    def _about_limits(self) -> str:
        needed = [
            *([("lower", self.low)] if self.condition.needs_low else []),
            *([("upper", self.high)] if self.condition.needs_high else []),
        ]
        for word, limit in needed:
            if limit is None or not math.isfinite(limit):
                return f"A rule for a value that {self.condition.words} needs the {word} limit."
        if len(needed) == 2 and not self.lowest < self.highest:
            return (
                f"The lower limit {_number(self.lowest)} must be less than the upper one "
                f"{_number(self.highest)}."
            )
        return ""

    def _about_hysteresis(self) -> str:
        if not 0 <= self.hysteresis < math.inf:
            return "The hysteresis must be a number that is not negative."
        is_between = self.condition == Condition.OUTSIDE
        if is_between and self.lowest + self.hysteresis > self.highest - self.hysteresis:
            return (
                f"A hysteresis of {_number(self.hysteresis)} leaves nothing between the limits: "
                "the alarm would never be over."
            )
        return ""

    def _about_duration(self) -> str:
        if self.duration < timedelta():
            return "The duration must not be negative."
        if self.condition == Condition.STALE and self.duration < _SHORTEST:
            return "A rule for a value that is not updated needs a duration of a second or more."
        return ""


class Turn(NamedTuple):
    """A rule's alarm is raised, or over, at a time; `sample` is what was known then."""

    at: datetime
    is_raised: bool
    sample: Sample | None
    before: Sample | None = None


class Machine(Protocol):
    """Follows a rule. Samples before the newest one are ignored."""

    is_raised: bool
    extreme: float | None

    def feed(self, sample: Sample) -> list[Turn]:
        """What became of the alarm until this sample and by it."""
        ...

    def pass_time(self, now: datetime) -> list[Turn]:
        """What became of the alarm until now."""
        ...

    def start_anew(self, at: datetime) -> None:
        """Nobody listened until then: what counts time counts from there."""
        ...


@dataclass(slots=True)
class _Progress:
    is_raised: bool = False
    extreme: float | None = None
    newest: Sample | None = None
    turned_at: datetime | None = None

    def _turn(self, at: datetime, is_raised: bool, before: Sample | None = None) -> list[Turn]:
        """Turns never go back in time, even if a sample came late."""
        if self.turned_at is not None and at < self.turned_at:
            at = self.turned_at
        self.turned_at = at
        self.is_raised = is_raised
        return [Turn(at, is_raised, self.newest, before)]


@dataclass(slots=True)
class _LimitMachine(_Progress):
    """For values above, below, outside: raised when that lasted, over when well back."""

    rule: Rule = field(kw_only=True)
    since: datetime | None = None
    lowest: float = field(init=False)
    highest: float = field(init=False)
    back_from_low: float = field(init=False)
    back_from_high: float = field(init=False)
    duration: timedelta = field(init=False)

    def __post_init__(self) -> None:
        rule = self.rule
        self.lowest, self.highest = rule.lowest, rule.highest
        self.back_from_low, self.back_from_high = rule.back_from_low, rule.back_from_high
        self.duration = rule.duration

    def feed(self, sample: Sample) -> list[Turn]:
        at, value = sample.at, sample.value
        newest = self.newest
        if newest is not None and at < newest.at:
            return []
        turns = self.pass_time(at) if self.since is not None else []
        self.newest = sample
        if value is None or value != value:  # noqa: PLR0124 - only NaN is not itself
            self.since = None
            return turns
        is_beyond = value > self.highest or value < self.lowest
        if self.is_raised:
            self._note_extreme(value)
            if self.back_from_low <= value <= self.back_from_high:
                turns += self._turn(at, is_raised=False)
        elif is_beyond:
            if self.since is None:
                self.since, self.extreme = at, value
            self._note_extreme(value)
            turns += self.pass_time(at)
        else:
            self.since = None
        return turns

    def pass_time(self, now: datetime) -> list[Turn]:
        if self.since is None or now - self.since < self.duration:
            return []
        at, self.since = self.since + self.duration, None
        return self._turn(at, is_raised=True)

    def start_anew(self, at: datetime) -> None:
        if self.since is not None and self.since < at:
            self.since = at

    def _note_extreme(self, value: float) -> None:
        extreme = self.extreme
        if extreme is None or self._excess(value) > self._excess(extreme):
            self.extreme = value

    def _excess(self, value: float) -> float:
        """How far beyond the nearer limit."""
        return max(value - self.highest, self.lowest - value)


@dataclass(slots=True)
class _ChangeMachine(_Progress):
    """For values that changed: raised by a change, over when there was none for a while."""

    rule: Rule = field(kw_only=True)
    changed_at: datetime | None = None

    def feed(self, sample: Sample) -> list[Turn]:
        before = self.newest
        if before is not None and sample.at < before.at:
            return []
        turns = self.pass_time(sample.at)
        self.newest = sample
        if before is None or is_same(before, sample):
            return turns
        self.changed_at = sample.at
        return turns if self.is_raised else turns + self._turn(sample.at, True, before)

    def pass_time(self, now: datetime) -> list[Turn]:
        if not self.is_raised or self.changed_at is None:
            return []
        lasting = self.rule.lasting
        if now - self.changed_at <= lasting:
            return []
        return self._turn(self.changed_at + lasting, is_raised=False)

    def start_anew(self, at: datetime) -> None:
        self.changed_at = max(self.changed_at or at, at)


@dataclass(slots=True)
class _AgeMachine(_Progress):
    """For values that are not updated: over with the next sample."""

    rule: Rule = field(kw_only=True)
    heard_at: datetime | None = None

    def feed(self, sample: Sample) -> list[Turn]:
        if self.newest is not None and sample.at < self.newest.at:
            return []
        turns = self.pass_time(sample.at)
        self.newest = sample
        self.heard_at = max(self.heard_at or sample.at, sample.at)
        return turns + self._turn(sample.at, is_raised=False) if self.is_raised else turns

    def pass_time(self, now: datetime) -> list[Turn]:
        if self.is_raised or self.heard_at is None or now - self.heard_at <= self.rule.duration:
            return []
        return self._turn(self.heard_at + self.rule.duration, is_raised=True)

    def start_anew(self, at: datetime) -> None:
        if self.heard_at is not None:
            self.heard_at = max(self.heard_at, at)


def machine(rule: Rule, *, is_raised: bool = False) -> Machine:
    """The machine of a rule; its alarm may be raised already."""
    if rule.condition == Condition.CHANGED:
        return _ChangeMachine(rule=rule, is_raised=is_raised)
    if rule.condition == Condition.STALE:
        return _AgeMachine(rule=rule, is_raised=is_raised)
    return _LimitMachine(rule=rule, is_raised=is_raised)


def is_same(one: Sample, other: Sample) -> bool:
    """Numbers are compared as such, however they were written; anything else by its text."""
    if one.value is None or other.value is None:
        return one.value is other.value and one.text == other.text
    both_are_none = math.isnan(one.value) and math.isnan(other.value)
    return one.value == other.value or both_are_none


def message(rule: Rule, name: str, turn: Turn) -> str:
    """What an alarm says that is raised by a rule on the series of this name."""
    words = f"{name} {rule.condition.words}"
    now = turn.sample.shown if turn.sample else "unknown"
    match rule.condition:
        case Condition.ABOVE:
            return f"{words} {_number(rule.highest)} ({now})"
        case Condition.BELOW:
            return f"{words} {_number(rule.lowest)} ({now})"
        case Condition.OUTSIDE:
            return f"{words} {_number(rule.lowest)} to {_number(rule.highest)} ({now})"
        case Condition.CHANGED:
            before = f" from {turn.before.shown}" if turn.before else ""
            return f"{words}{before} to {now}"
        case Condition.STALE:
            since = turn.sample.at.astimezone(UTC) if turn.sample else turn.at.astimezone(UTC)
            return f"{words} since {since:%Y-%m-%d %H:%M:%S} UTC ({now})"


def _number(value: float) -> str:
    return f"{value:.15g}"
