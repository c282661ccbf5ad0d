"""Rules on values, followed from look to look.

Their states are in memory only. A new `RuleWatch` begins with the open alarms and the newest
values, and what counts time counts from then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dasmon_listener import watched
from dasmon_listener.alarm_ledger import AlarmKey, Assertion
from dasmon_listener.domain.alarm_rules import Condition, Machine, Sample, Turn, machine
from dasmon_listener.domain.levels import Level
from dasmon_listener.models import Alarm
from dasmon_listener.watched import Claim, RuleRow

# Samples may be readable so long after the time that they have.
_ON_THE_WAY = timedelta(seconds=1)
# No sample has a time so far ahead of ours.
_AHEAD = timedelta(seconds=90)


@dataclass(slots=True)
class _Followed:
    row: RuleRow
    machine: Machine


@dataclass(slots=True)
class _Claims:
    """Which rules hold which alarms up: several rules may share an alarm, the worst one counts."""

    by_key: dict[AlarmKey, dict[int, Claim]] = field(default_factory=dict)

    def put(self, row: RuleRow, claim: Claim) -> None:
        self.by_key.setdefault(row.key, {})[row.rule_id] = claim

    def drop(self, row: RuleRow) -> Claim | None:
        return self.by_key.get(row.key, {}).pop(row.rule_id, None)

    def worst(self, key: AlarmKey) -> tuple[int, Claim] | None:
        claims = self.by_key.get(key)
        return max(claims.items(), key=lambda each: each[1].level) if claims else None

    def levels(self) -> dict[AlarmKey, Level]:
        found = {key: self.worst(key) for key in self.by_key}
        return {key: worst[1].level for key, worst in found.items() if worst is not None}


class RuleWatch:
    """The rules that hold, and how far each is."""

    def __init__(self, misread: set[int]) -> None:
        self._misread = misread
        self._is_restored = False
        self._followed: dict[int, _Followed] = {}
        self._claims = _Claims()
        self._seen_at: dict[int, datetime] = {}
        self._listening_since: datetime | None = None

    def look(self, now: datetime, listening_since: datetime | None) -> list[Assertion]:
        """What follows from rules and from what came since the last look.

        Time is let pass only while we listen; when we do so again, what counts it starts anew.
        """
        is_new = listening_since is not None and listening_since != self._listening_since
        self._listening_since = listening_since
        if is_new and listening_since is not None:
            for followed in self._followed.values():
                followed.machine.start_anew(listening_since)
        return [*self._follow(now), *self._take_in_samples(now)]

    def _follow(self, now: datetime) -> list[Assertion]:
        """Begin with rules that are new or changed, and leave those that are gone."""
        rows = watched.rules(self._misread)
        before = self._claims.levels()
        if not self._is_restored:
            before, self._is_restored = self._restore(rows), True
        known = self._followed
        begun = [row for row in rows.values() if _row_of(known, row.rule_id) != row]
        for rule_id in known.keys() - rows.keys():
            self._claims.drop(known.pop(rule_id).row)
        newest = watched.newest_samples(
            {row.series_id for row in begun if row.series_id is not None}
        )
        for row in begun:
            self._begin(row, newest.get(row.series_id or 0), now)
        return self._differences(before, now)

    def _restore(self, rows: Mapping[int, RuleRow]) -> dict[AlarmKey, Level]:
        """What is open is claimed by the rule that raised it, and by those that are not worse."""
        raised = watched.raised_by_rules()
        for row in rows.values():
            rule_id, claim = raised.get(row.key, (None, None))
            if claim is not None and (row.rule_id == rule_id or row.level <= claim.level):
                self._claims.put(row, Claim(row.level, claim.message))
        return {key: claim.level for key, (_, claim) in raised.items()}

    def _begin(self, row: RuleRow, newest: Sample | None, now: datetime) -> None:
        before = self._followed.get(row.rule_id)
        claim = self._claims.drop(before.row if before else row)
        is_raised = claim is not None and (before is None or _is_still(before.row, row, newest))
        follower = machine(row.terms, is_raised=is_raised)
        if is_raised and claim is not None:
            self._claims.put(row, Claim(row.level, claim.message))
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
        turns: list[tuple[Turn, RuleRow]] = []
        for row, follower in ((each.row, each.machine) for each in self._followed.values()):
            came = samples.get(row.series_id or 0, [])
            turns += [(turn, row) for sample in came for turn in follower.feed(sample)]
            if len(came) < watched.MOST_SAMPLES:
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
        samples = watched.new_samples(self._seen_at, now + _AHEAD)
        self._seen_at |= {series_id: came[-1].at for series_id, came in samples.items()}
        return samples

    def _turned(self, row: RuleRow, turn: Turn, now: datetime) -> Assertion | None:
        before = self._claims.worst(row.key)
        self._turn(row, turn)
        after = self._claims.worst(row.key)
        if (before and before[1].level) == (after and after[1].level):
            return None
        return self._assertion(row.key, min(turn.at, now))

    def _turn(self, row: RuleRow, turn: Turn) -> None:
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


def _row_of(known: Mapping[int, _Followed], rule_id: int) -> RuleRow | None:
    return known[rule_id].row if rule_id in known else None


def _is_still(before: RuleRow, after: RuleRow, newest: Sample | None) -> bool:
    """Whether a rule's alarm stays when the rule is changed: only what the new words say."""
    if before.key != after.key:
        return False
    is_about_limits = after.terms.condition not in {Condition.CHANGED, Condition.STALE}
    is_same = before.terms == after.terms or newest is None or not is_about_limits
    return is_same or after.terms.is_beyond(newest.value if newest else None)
