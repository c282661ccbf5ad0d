"""When a rule would have raised its alarm: the same machine, over what is stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, starmap
from typing import Any

from django.db import OperationalError, connection, transaction

from dasmon_listener.domain.alarm_rules import Condition, Machine, Rule, Sample, Turn, machine
from dasmon_listener.models import AlarmRule
from dasmon_listener.sql import PREVIEWS

_MINUTE = timedelta(minutes=1)
_LAST_OF_MINUTE = _MINUTE - timedelta(microseconds=1)
# Rows from the database at a time.
_AT_ONCE = 10_000
PATIENCE = timedelta(seconds=20)
_CANCELED = "57014"
_STATEMENTS = {Condition.CHANGED: "changes", Condition.STALE: "signs_of_life"}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The alarm would have been raised, and over unless `ended_at` is empty.

    `extreme` is the value farthest beyond its limit; empty for rules without limits.
    """

    began_at: datetime
    ended_at: datetime | None
    extreme: float | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done; `samples` counts what was looked at, minutes as one each."""

    occurrences: list[Occurrence]
    samples: int


class PreviewTooLongError(Exception):
    """More values are stored than can be looked at while somebody waits."""


def preview(
    rule: AlarmRule, since: datetime, until: datetime, patience: timedelta = PATIENCE
) -> Preview:
    """When this rule, which need not be saved, would have raised its alarm.

    Of times whose samples are not kept any more minutes are looked at: what was beyond a limit
    within one is taken to have lasted half of it. What the listener did not hear then is not known
    here, so a rule for values that are not updated shows its own pauses as well.

    Raises:
        ValueError: the rule makes no sense; the message says why.
        PreviewTooLongError: the database needed more than `patience` for one question.
    """
    if complaint := rule.terms.complaint():
        raise ValueError(complaint)
    try:
        return _preview(rule, since, until, patience)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _CANCELED:
            raise
        raise PreviewTooLongError from error


def _preview(rule: AlarmRule, since: datetime, until: datetime, patience: timedelta) -> Preview:
    about = {"instrument": rule.instrument_id, "kind": rule.kind, "name": rule.name}
    recorder = _Recorder(machine(rule.terms))
    with transaction.atomic():
        milliseconds = int(patience / timedelta(milliseconds=1))
        _one("patience", {"milliseconds": str(milliseconds)})
        found = _one("series", about | {"since": since})
        if found is None:
            return Preview([], 0)
        series_id, *before = found
        if before[0] is not None:
            recorder.follow([Sample(*before)])
        stored = _stored(series_id, since, until, rule.terms)
        recorder.follow(stored.minutes())
        recorder.follow(stored.samples())
    recorder.finish(until)
    occurrences = [each for each in recorder.occurrences if not _ended_before(each, since)]
    return Preview(occurrences, stored.count())


@dataclass(slots=True)
class _Recorder:
    """A machine whose turns become occurrences."""

    machine: Machine
    occurrences: list[Occurrence] = field(default_factory=list)
    began_at: datetime | None = None

    def follow(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            if turns := self.machine.feed(sample):
                self._record(turns)

    def finish(self, until: datetime) -> None:
        self._record(self.machine.pass_time(until))
        if self.began_at is not None:
            self._add(None)

    def _record(self, turns: list[Turn]) -> None:
        for turn in turns:
            if turn.is_raised:
                self.began_at = turn.at
            else:
                self._add(turn.at)

    def _add(self, ended_at: datetime | None) -> None:
        if self.began_at is not None:
            self.occurrences.append(Occurrence(self.began_at, ended_at, self.machine.extreme))
        self.began_at = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is kept of a series between two times: minutes, and from `raw_since` on samples."""

    series_id: int
    terms: Rule
    since: datetime
    raw_since: datetime
    until: datetime
    raw: int

    def minutes(self) -> Iterator[Sample]:
        if self.raw_since > self.since:
            rows = self._rows("minutes", self.since, self.raw_since)
            yield from chain.from_iterable(starmap(self._of_minute, rows))

    def samples(self) -> Iterator[Sample]:
        """Those that can make a difference; PostgreSQL leaves out the many others quicker."""
        at_second, zone = datetime.fromtimestamp, UTC
        statement = _STATEMENTS.get(self.terms.condition, "against_limits")
        for second, value, text in self._rows(statement, self.raw_since, self.until):
            yield Sample(at_second(second, zone), value, text)

    def count(self) -> int:
        between = self._between(self.since, self.raw_since)
        (minutes,) = _one("count_minutes", between) or (0,)
        return self.raw + int(minutes)

    def _of_minute(
        self,
        at: datetime,
        minimum: float | None,
        maximum: float | None,
        last: float | None,
        count: int,
    ) -> list[Sample]:
        if count == 1:
            return [Sample(at, last)]
        first, second = minimum, maximum
        if self.terms.condition.needs_high:
            first, second = maximum, minimum
        later = zip((timedelta(), _MINUTE / 2, _LAST_OF_MINUTE), (first, second, last), strict=True)
        return [Sample(at + after, value) for after, value in later]

    def _rows(self, statement: str, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
        """Fetched while they are looked at, because they may be very many."""
        with connection.chunked_cursor() as cursor:
            cursor.execute(PREVIEWS[statement], self._between(since, until))
            while rows := cursor.fetchmany(_AT_ONCE):
                yield from rows

    def _between(self, since: datetime, until: datetime) -> dict[str, Any]:
        return {
            "series": self.series_id,
            "since": since,
            "until": until,
            "lowest": self.terms.lowest,
            "highest": self.terms.highest,
            "back_from_low": self.terms.back_from_low,
            "back_from_high": self.terms.back_from_high,
            "half": self.terms.lasting / 2,
        }


def _stored(series_id: int, since: datetime, until: datetime, terms: Rule) -> _Stored:
    """Days whose samples were dropped end with a whole minute."""
    between = {"series": series_id, "since": since, "until": until}
    first, count = _one("raw", between) or (None, 0)
    begin = max(since, first.replace(second=0, microsecond=0)) if first else until
    return _Stored(series_id, terms, since, begin, until, count)


def _ended_before(occurrence: Occurrence, at: datetime) -> bool:
    return occurrence.ended_at is not None and occurrence.ended_at <= at


def _one(statement: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(PREVIEWS[statement], parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
        return found
