"""Values of the pages about alarm rules."""

import datetime as dt
from dataclasses import dataclass

from dasmon_listener import alarm_details, previews
from dasmon_listener.domain.alarm_rules import Condition
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import AlarmRule
from webmon.accounts.policies import User, may_tend
from webmon.alarms.rule_form import RuleForm, RuleFormError
from webmon.ui import durations
from workflow_manager import selectors
from workflow_manager.models import Instrument

LOOKS_BACK = dt.timedelta(days=7)
SHOWN_OCCURRENCES = 20


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in plain words; `fired_at` is when it last raised an alarm."""

    id: int
    instrument: str
    kind: str
    name: str
    words: str
    level: str
    message: str
    is_enabled: bool
    created_by: str
    fired_at: dt.datetime | None
    is_raised: bool
    may_tend: bool


@dataclass(frozen=True, slots=True)
class RuleListPage:
    """By instrument and name."""

    instrument: str
    rows: tuple[RuleRow, ...]
    may_make: bool
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Once that it would have fired; `extreme` is the value that was farthest out."""

    began_at: dt.datetime
    ended_at: dt.datetime | None
    lasted: dt.timedelta
    extreme: float | None


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """What the rule would have done; with a `problem` nothing could be computed."""

    problem: str
    since: dt.datetime
    until: dt.datetime
    samples: int
    occurrences: tuple[Occurrence, ...]
    newest: tuple[Occurrence, ...]


@dataclass(frozen=True, slots=True)
class RulePage:
    """A rule's form with what is typed in it; `rule` is empty for a new one.

    `preview` takes seconds where a week has many values, so it is there only if it was asked for;
    a browser asks for it by itself.
    """

    rule: RuleRow | None
    form: RuleForm
    preview: PreviewPart | None
    problem: str
    may_tend: bool
    instruments: tuple[str, ...]
    read_at: dt.datetime


def rule_list_page(instrument: str, person: User, now: dt.datetime) -> RuleListPage:
    rules = [rule for rule in alarm_details.alarm_rules() if instrument in {"", _of(rule)}]
    may_make = bool(tended_instruments(person))
    return RuleListPage(instrument, tuple(_row(rule, person) for rule in rules), may_make, now)


def rule_page(
    form: RuleForm,
    rule: AlarmRule | None,
    person: User,
    now: dt.datetime,
    *,
    problem: str = "",
    with_preview: bool = False,
) -> RulePage:
    return RulePage(
        rule=None if rule is None else _row(rule, person),
        form=form,
        preview=preview_part(form, now) if with_preview else None,
        problem=problem,
        may_tend=rule is None or may_tend(person, _of(rule)),
        instruments=tuple(tended_instruments(person)),
        read_at=now,
    )


TOO_LONG = (
    "This value came so often in the last week that it takes too long to look at. The rule can be "
    "saved all the same."
)


def preview_part(form: RuleForm, now: dt.datetime) -> PreviewPart:
    """What the rule that is being typed would have done in the last week."""
    since = now - LOOKS_BACK
    instrument = selectors.instrument_named(form.instrument)
    if instrument is None:
        return PreviewPart("Choose an instrument.", since, now, 0, (), ())
    try:
        rule = form.rule(instrument)
    except RuleFormError as error:
        return PreviewPart(str(error), since, now, 0, (), ())
    try:
        found = previews.preview(rule, since, now)
    except previews.PreviewTooLongError:
        return PreviewPart(TOO_LONG, since, now, 0, (), ())
    all_of_them = tuple(
        Occurrence(
            each.began_at, each.ended_at, (each.ended_at or now) - each.began_at, each.extreme
        )
        for each in found.occurrences
    )
    newest = tuple(reversed(all_of_them[-SHOWN_OCCURRENCES:]))
    return PreviewPart("", since, now, found.samples, all_of_them, newest)


def tended_instruments(person: User) -> list[str]:
    """The names of the instruments whose rules the person may change."""
    return [each.name for each in selectors.instruments() if may_tend(person, each.name)]


def words(rule: AlarmRule) -> str:
    """`is above 4.2 for 10 s, over when back by 0.2`."""
    condition, time = Condition(rule.condition), durations.words(rule.duration)
    said = condition.words
    if condition is Condition.CHANGED:
        return f"{said}, over after {time} without change" if rule.duration else said
    if condition is Condition.OUTSIDE:
        said += f", {rule.low:.15g} to {rule.high:.15g}"
    elif condition is not Condition.STALE:
        limit = rule.high if condition.needs_high else rule.low
        said += f" {limit:.15g}"
    if rule.duration:
        said += f" for {time}"
    return f"{said}, over when back by {rule.hysteresis:.15g}" if rule.hysteresis else said


def _row(rule: AlarmRule, person: User) -> RuleRow:
    return RuleRow(
        id=rule.id,
        instrument=_of(rule),
        kind=Kind(rule.kind).word,
        name=rule.name,
        words=words(rule),
        level=Level(rule.level).word,
        message=rule.message,
        is_enabled=rule.is_enabled,
        created_by="" if rule.created_by is None else str(rule.created_by),
        fired_at=getattr(rule, "fired_at", None),
        is_raised=bool(getattr(rule, "open", 0)),
        may_tend=may_tend(person, _of(rule)),
    )


def _of(rule: AlarmRule) -> str:
    instrument: Instrument = rule.instrument
    return instrument.name
