"""What the listener finds out by itself, each second: rules on values, and who is silent.

States of rules are in memory only. After a start, or a look that failed, they begin with the open
alarms and the newest values, and what counts time counts from then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from dasmon_listener.alarm_ledger import AlarmKey, Assertion
from dasmon_listener.alarms import assert_all, end_shelves
from dasmon_listener.domain.alarm_rules import (
    Condition,
    Machine,
    Rule,
    Sample,
    Turn,
    machine,
    message,
)
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.silence import SignsOfLife
from dasmon_listener.models import Alarm
from dasmon_listener.sql import WATCH

# Samples may be readable so long after the time that they have.
_ON_THE_WAY = timedelta(seconds=1)
# A look that comes so long after the one before means that this process did not hear either.
_LONGEST_PAUSE = timedelta(seconds=10)
# No sample has a time so far ahead of ours.
_AHEAD = timedelta(seconds=90)
# Of one series, per look; the rest waits for the next one.
_MOST_SAMPLES = 5_000


class _Claim(NamedTuple):
    """That a rule holds an alarm up."""

    level: Level
    message: str


class _RuleRow(NamedTuple):
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

    def claim(self, turn: Turn) -> _Claim:
        return _Claim(self.level, self.message or message(self.terms, self.name, turn))


@dataclass(slots=True)
class _Followed:
    row: _RuleRow
    machine: Machine


@dataclass(slots=True)
class _Claims:
    """Which rules hold which alarms up: several rules may share an alarm, the worst one counts."""

    by_key: dict[AlarmKey, dict[int, _Claim]] = field(default_factory=dict)

    def put(self, row: _RuleRow, claim: _Claim) -> None:
        self.by_key.setdefault(row.key, {})[row.rule_id] = claim

    def drop(self, row: _RuleRow) -> _Claim | None:
        return self.by_key.get(row.key, {}).pop(row.rule_id, None)

    def worst(self, key: AlarmKey) -> tuple[int, _Claim] | None:
        claims = self.by_key.get(key)
        return max(claims.items(), key=lambda each: each[1].level) if claims else None

    def levels(self) -> dict[AlarmKey, Level]:
        found = {key: self.worst(key) for key in self.by_key}
        return {key: worst[1].level for key, worst in found.items() if worst is not None}


class Watch:
    """Looks at what came since the last look, and says what follows for alarms."""

    def __init__(self) -> None:
        self._forget()
        self._looked_at: datetime | None = None
        self._listening_since: datetime | None = None

    def look(self, now: datetime, hears: bool = True) -> None:
        """Follow rules and components until now, and end shelves.

        Args:
            now: by our clock.
            hears: whether messages reach us. While none do, only what stored values say is taken
                in, and nothing follows from silence; afterwards all limits start anew.

        Raises:
            django.db.Error: nothing was written; the next look begins as after a start.
        """
        self._listen(now, hears)
        try:
            said = [*self._rules(now), *self._silences(now)]
            assert_all(said, now)
        except Exception:
            self._forget()
            raise
        end_shelves(now)

    def _forget(self) -> None:
        self._is_restored = False
        self._followed: dict[int, _Followed] = {}
        self._claims = _Claims()
        self._seen_at: dict[int, datetime] = {}

    def _listen(self, now: datetime, hears: bool) -> None:
        is_pause = self._looked_at is None or now - self._looked_at > _LONGEST_PAUSE
        self._looked_at = now
        if not hears:
            self._listening_since = None
        elif self._listening_since is None or is_pause:
            self._listening_since = now
            for followed in self._followed.values():
                followed.machine.start_anew(now)

    def _rules(self, now: datetime) -> Iterator[Assertion]:
        yield from self._follow(now)
        yield from self._take_in_samples(now)

    def _follow(self, now: datetime) -> list[Assertion]:
        """Begin with rules that are new or changed, and leave those that are gone."""
        rows = {row.rule_id: row for row in _read_rules()}
        before = self._claims.levels()
        if not self._is_restored:
            before, self._is_restored = self._restore(rows), True
        known = self._followed
        begun = [row for row in rows.values() if _row_of(known, row.rule_id) != row]
        for rule_id in known.keys() - rows.keys():
            self._claims.drop(known.pop(rule_id).row)
        newest = _newest({row.series_id for row in begun if row.series_id is not None})
        for row in begun:
            self._begin(row, newest.get(row.series_id or 0), now)
        return self._differences(before, now)

    def _restore(self, rows: Mapping[int, _RuleRow]) -> dict[AlarmKey, Level]:
        """What is open is claimed by the rule that raised it, and by those that are not worse."""
        raised = _raised_by_rules()
        for row in rows.values():
            rule_id, claim = raised.get(row.key, (None, None))
            if claim is not None and (row.rule_id == rule_id or row.level <= claim.level):
                self._claims.put(row, _Claim(row.level, claim.message))
        return {key: claim.level for key, (_, claim) in raised.items()}

    def _begin(self, row: _RuleRow, newest: Sample | None, now: datetime) -> None:
        before = self._followed.get(row.rule_id)
        claim = self._claims.drop(before.row if before else row)
        is_raised = claim is not None and (before is None or _is_still(before.row, row, newest))
        follower = machine(row.terms, is_raised=is_raised)
        if is_raised and claim is not None:
            self._claims.put(row, _Claim(row.level, claim.message))
        turns = follower.feed(newest) if newest is not None else []
        follower.start_anew(self._listening_since or now)
        turns += self._pass_time(follower, now)
        for turn in turns:
            self._turn(row, turn)
        self._followed[row.rule_id] = _Followed(row, follower)
        if row.series_id is not None:
            self._seen_at.setdefault(row.series_id, newest.at if newest else now)

    def _take_in_samples(self, now: datetime) -> list[Assertion]:
        samples = self._new_samples(now)
        turns: list[tuple[Turn, _RuleRow]] = []
        for row, follower in ((each.row, each.machine) for each in self._followed.values()):
            came = samples.get(row.series_id or 0, [])
            turns += [(turn, row) for sample in came for turn in follower.feed(sample)]
            if len(came) < _MOST_SAMPLES:
                turns += [(turn, row) for turn in self._pass_time(follower, now)]
        turns.sort(key=lambda each: each[0].at)
        said = [self._turned(row, turn, now) for turn, row in turns]
        return [each for each in said if each is not None]

    def _pass_time(self, follower: Machine, now: datetime) -> list[Turn]:
        is_hearing = self._listening_since is not None
        return follower.pass_time(now - _ON_THE_WAY) if is_hearing else []

    def _new_samples(self, now: datetime) -> dict[int, list[Sample]]:
        ruled = {each.row.series_id for each in self._followed.values()}
        self._seen_at = {
            series_id: at for series_id, at in self._seen_at.items() if series_id in ruled
        }
        samples = _read_samples(self._seen_at, now + _AHEAD)
        self._seen_at |= {series_id: came[-1].at for series_id, came in samples.items()}
        return samples

    def _turned(self, row: _RuleRow, turn: Turn, now: datetime) -> Assertion | None:
        before = self._claims.worst(row.key)
        self._turn(row, turn)
        after = self._claims.worst(row.key)
        if (before and before[1].level) == (after and after[1].level):
            return None
        return self._assertion(row.key, min(turn.at, now))

    def _turn(self, row: _RuleRow, turn: Turn) -> None:
        if turn.is_raised:
            self._claims.put(row, row.claim(turn))
        else:
            self._claims.drop(row)

    def _differences(self, before: Mapping[AlarmKey, Level], now: datetime) -> list[Assertion]:
        after = self._claims.levels()
        return [
            self._assertion(key, now)
            for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key)
        ]

    def _assertion(self, key: AlarmKey, at: datetime) -> Assertion:
        worst = self._claims.worst(key)
        if worst is None:
            return Assertion(key, None, Alarm.Origin.RULE, "", at)
        rule_id, claim = worst
        return Assertion(
            key, claim.level, Alarm.Origin.RULE, claim.message, at, source="rule", rule_id=rule_id
        )

    def _silences(self, now: datetime) -> Iterator[Assertion]:
        since = self._listening_since
        if since is None:
            return
        for instrument_id, name, signs, is_wanted, is_raised in _read_components():
            key = AlarmKey(instrument_id, name)
            if signs is not None and is_wanted and not is_raised and signs.is_silent(now, since):
                yield Assertion(
                    key, Level.ERROR, Alarm.Origin.SILENCE, signs.message, now, source=signs.name
                )
            elif is_raised and (signs is None or not is_wanted or signs.is_heard(now)):
                yield Assertion(key, None, Alarm.Origin.SILENCE, "", now)


def _row_of(known: Mapping[int, _Followed], rule_id: int) -> _RuleRow | None:
    return known[rule_id].row if rule_id in known else None


def _is_still(before: _RuleRow, after: _RuleRow, newest: Sample | None) -> bool:
    """Whether a rule's alarm stays when the rule is changed: only what the new words say."""
    if before.key != after.key:
        return False
    is_about_limits = after.terms.condition not in {Condition.CHANGED, Condition.STALE}
    is_same = before.terms == after.terms or newest is None or not is_about_limits
    return is_same or after.terms.is_beyond(newest.value if newest else None)


def _rows(statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(WATCH[statement], parameters)
        return list(cursor.fetchall())


def _read_rules() -> list[_RuleRow]:
    return [
        _RuleRow(
            rule_id=rule_id,
            instrument_id=instrument_id,
            name=name,
            terms=Rule(Condition(condition), low, high, hysteresis, duration),
            level=Level(level),
            message=words,
            series_id=series_id,
        )
        for (
            rule_id, instrument_id, name, condition, low, high, hysteresis, duration, level, words,
            series_id,
        ) in _rows("rules")
    ]  # fmt: skip


def _newest(series: set[int]) -> dict[int, Sample]:
    if not series:
        return {}
    return {
        series_id: Sample(at, value, text)
        for series_id, at, value, text in _rows("newest", {"series": list(series)})
    }


def _raised_by_rules() -> dict[AlarmKey, tuple[int | None, _Claim]]:
    return {
        AlarmKey(instrument_id, name): (rule_id, _Claim(Level(level), words))
        for instrument_id, name, level, words, rule_id in _rows("raised_by_rules")
    }


def _read_samples(seen_at: Mapping[int, datetime], until: datetime) -> dict[int, list[Sample]]:
    if not seen_at:
        return {}
    wanted = {
        "series": list(seen_at),
        "seen_at": list(seen_at.values()),
        "until": until,
        "most": _MOST_SAMPLES,
    }
    rows = groupby(_rows("samples", wanted), key=lambda row: row[0])
    return {series_id: [Sample(*row[1:]) for row in came] for series_id, came in rows}


def _read_components() -> Iterator[tuple[int, str, SignsOfLife | None, bool, bool]]:
    for instrument_id, name, component, heard_at, period, is_wanted, is_raised in _rows(
        "components"
    ):
        signs = SignsOfLife(component, heard_at, period) if component is not None else None
        yield instrument_id, name, signs, is_wanted, is_raised
