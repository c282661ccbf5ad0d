"""The form of an alarm rule: what was typed, and the rule that it makes."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass

from dasmon_listener.domain.alarm_rules import Condition, Rule
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import AlarmRule
from workflow_manager.models import Instrument

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
KINDS = (("pv", Kind.PV.word), ("status", Kind.STATUS_VALUE.word))
CONDITIONS = tuple((condition.value, condition.words) for condition in Condition)
LEVELS = tuple(level.word for level in reversed(Level))
LONGEST = dt.timedelta(days=30)

_KINDS = {"pv": Kind.PV, "status": Kind.STATUS_VALUE}


class RuleFormError(ValueError):
    """One sentence: what is wrong in the form and what to do."""


@dataclass(frozen=True, slots=True)
class RuleForm:
    """What a person typed, as texts."""

    instrument: str = ""
    kind: str = "pv"
    name: str = ""
    condition: str = Condition.ABOVE.value
    low: str = ""
    high: str = ""
    hysteresis: str = "0"
    duration: str = "10"
    unit: str = "s"
    level: str = Level.ERROR.word
    message: str = ""
    guidance: str = ""

    @classmethod
    def typed(cls, values: Mapping[str, str]) -> "RuleForm":
        """The fields that a request carries; the others as in an empty form."""
        texts = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{name: _text(text) for name, text in texts.items()})

    @classmethod
    def of(cls, rule: AlarmRule, guidance: str) -> "RuleForm":
        """What would have been typed to make this rule."""
        count, unit = _count_and_unit(rule.duration)
        return cls(
            instrument=rule.instrument.name,
            kind="pv" if rule.kind == Kind.PV else "status",
            name=rule.name,
            condition=rule.condition,
            low=_shown(rule.low),
            high=_shown(rule.high),
            hysteresis=_shown(rule.hysteresis),
            duration=count,
            unit=unit,
            level=Level(rule.level).word,
            message=rule.message,
            guidance=guidance,
        )

    def rule(self, instrument: Instrument, known: AlarmRule | None = None) -> AlarmRule:
        """The rule, not saved; `known` is the one that is changed.

        Raises:
            RuleFormError: the first thing that is wrong.
        """
        condition = _condition(self.condition)
        checked = Rule(
            condition,
            low=_number(self.low, "lower limit") if condition.needs_low else None,
            high=_number(self.high, "upper limit") if condition.needs_high else None,
            hysteresis=self._hysteresis(condition),
            duration=self._duration(),
        )
        if complaint := checked.complaint():
            raise RuleFormError(complaint)
        rule = known or AlarmRule()
        rule.instrument, rule.kind, rule.name = instrument, self._kind().value, self._name()
        rule.condition, rule.low, rule.high = condition.value, checked.low, checked.high
        rule.hysteresis, rule.duration = checked.hysteresis, checked.duration
        rule.level, rule.message = self._level().value, self.message
        return rule

    def _name(self) -> str:
        if not self.name:
            raise RuleFormError("Which value? Write the name of a PV or of a status value.")
        return self.name

    def _kind(self) -> Kind:
        if self.kind not in _KINDS:
            raise RuleFormError("Is it a PV or a status value? Choose one of the two.")
        return _KINDS[self.kind]

    def _hysteresis(self, condition: Condition) -> float:
        """A field that the form does not show for this condition counts as empty."""
        is_asked = condition.needs_low or condition.needs_high
        return _number(self.hysteresis, "way back") if is_asked and self.hysteresis else 0.0

    def _duration(self) -> dt.timedelta:
        seconds = _number(self.duration or "0", "time") * UNITS.get(self.unit, 1)
        if not 0 <= seconds <= LONGEST.total_seconds():
            raise RuleFormError(f"The time is between 0 and {LONGEST.days} days. Change it.")
        return dt.timedelta(seconds=seconds)

    def _level(self) -> Level:
        if self.level not in LEVELS:
            raise RuleFormError("How bad is it? Choose a level.")
        return Level[self.level.upper()]


def _condition(text: str) -> Condition:
    if text not in set(Condition):
        raise RuleFormError("When is it an alarm? Choose a condition.")
    return Condition(text)


def _number(text: str, what: str) -> float:
    """Raises RuleFormError unless it is a finite number."""
    if not text:
        raise RuleFormError(f"The {what} is missing. Write a number.")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RuleFormError(f"The {what} {text!r} is no number. Write one such as 4.2 or 1e-3.")
    return number


def _count_and_unit(duration: dt.timedelta) -> tuple[str, str]:
    """In the largest unit of which it is a whole number."""
    seconds = duration.total_seconds()
    for unit, length in reversed(UNITS.items()):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}", unit
    return f"{seconds:g}", "s"


def _shown(number: float | None) -> str:
    return "" if number is None else repr(number).removesuffix(".0")


def _text(text: str) -> str:
    # PostgreSQL has no NUL in text.
    return text.replace("\0", "").strip()
