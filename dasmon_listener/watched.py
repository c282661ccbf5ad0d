"""What the watch reads: rules, what came of their series, and who was heard."""

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from dasmon_listener.alarm_ledger import AlarmKey
from dasmon_listener.domain.alarm_rules import Condition, Rule, Sample, Turn, message
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.silence import SignsOfLife
from dasmon_listener.sql import WATCH

_log = logging.getLogger(__name__)

# Of one series, per look; the rest waits for the next one.
MOST_SAMPLES = 5_000


class Claim(NamedTuple):
    """That a rule holds an alarm up."""

    level: Level
    message: str


class RuleRow(NamedTuple):
    """A rule as the database has it."""

    rule_id: int
    instrument_id: int
    name: str
    terms: Rule
    level: Level
    message: str
    series_id: int | None

    @property
    def key(self) -> AlarmKey:
        return AlarmKey(self.instrument_id, f"{self.name} {self.terms.condition}")

    def claim(self, turn: Turn) -> Claim:
        return Claim(self.level, self.message or message(self.terms, self.name, turn))


class Watched(NamedTuple):
    """A component, or without signs of life a forgotten one whose alarm is still there."""

    key: AlarmKey
    signs: SignsOfLife | None
    is_wanted: bool
    is_raised: bool


def _rows(statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(WATCH[statement], parameters)
        return list(cursor.fetchall())


def rules(misread: set[int]) -> dict[int, RuleRow]:
    """Those that hold, by number.

    One that cannot be read, because somebody wrote it past us, must not stop the others: it is
    logged and added to `misread`.
    """
    found = {}
    for rule_id, *values in _rows("rules"):
        try:
            found[rule_id] = _rule_row(rule_id, values)
        except ValueError:
            if rule_id not in misread:
                _log.exception("Rule %s of alarms makes no sense and is left out.", rule_id)
            misread.add(rule_id)
    return found


def _rule_row(rule_id: int, values: list[Any]) -> RuleRow:
    """Raises ValueError if the rule makes no sense."""
    instrument_id, name, condition, low, high, hysteresis, duration, level, words, series = values
    terms = Rule(Condition(condition), low, high, hysteresis, duration)
    if complaint := terms.complaint():
        raise ValueError(complaint)
    return RuleRow(rule_id, instrument_id, name, terms, Level(level), words, series)


def newest_samples(series: Collection[int]) -> dict[int, Sample]:
    """What these series were last."""
    if not series:
        return {}
    return {
        series_id: Sample(at, value, text)
        for series_id, at, value, text in _rows("newest", {"series": list(series)})
    }


def raised_by_rules() -> dict[AlarmKey, tuple[int | None, Claim]]:
    """Alarms that are there because of rules, with the rule that raised it first."""
    return {
        AlarmKey(instrument_id, name): (rule_id, Claim(Level(level), words))
        for instrument_id, name, level, words, rule_id in _rows("raised_by_rules")
    }


def new_samples(seen_at: Mapping[int, datetime], until: datetime) -> dict[int, list[Sample]]:
    """What came of these series since each was seen, at most `MOST_SAMPLES` of each."""
    if not seen_at:
        return {}
    wanted = {
        "series": list(seen_at),
        "seen_at": list(seen_at.values()),
        "until": until,
        "most": MOST_SAMPLES,
    }
    rows = groupby(_rows("samples", wanted), key=lambda row: row[0])
    return {series_id: [Sample(*row[1:]) for row in came] for series_id, came in rows}


def components() -> Iterator[Watched]:
    """Who should be heard."""
    for instrument_id, name, component, heard_at, period, is_wanted, is_raised in _rows(
        "components"
    ):
        signs = SignsOfLife(component, heard_at, period) if component is not None else None
        yield Watched(AlarmKey(instrument_id, name), signs, is_wanted, is_raised)
