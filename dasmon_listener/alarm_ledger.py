"""The alarms of one name while what is said about them is taken in: no input or output.

A name has at most one open alarm. It is over when it is retracted, and then closed at once, unless
it is latched and nobody acknowledged it: such a one waits, and is raised again if it is asserted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dasmon_listener.domain.levels import WORTH_TELLING, Level
from dasmon_listener.models import Alarm, AlarmEvent

What = AlarmEvent.What


class AlarmKey(NamedTuple):
    """What an open alarm is known by."""

    instrument_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """That an alarm is there, or without a level that it is over."""

    key: AlarmKey
    level: Level | None
    origin: Alarm.Origin
    message: str
    at: datetime
    source: str = ""
    rule_id: int | None = None


class HistoryLine(NamedTuple):
    """What happened to an alarm, and when."""

    at: datetime
    what: AlarmEvent.What
    words: str


@dataclass(slots=True)
class AlarmRecord:
    """A row of alarms with what happened to it since it was read. A new one has no number yet."""

    key: AlarmKey
    origin: str
    level: Level
    source: str
    message: str
    raised_at: datetime
    repeated_at: datetime
    is_latched: bool
    rule_id: int | None = None
    alarm_id: int | None = None
    repeats: int = 0
    over_at: datetime | None = None
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    history: list[HistoryLine] = field(default_factory=list)
    has_changed: bool = False
    is_news: bool = False
    is_over_now: bool = False

    @property
    def is_told(self) -> bool:
        """Whether people are to be told: of what is over again nobody wants to know."""
        return self.is_news and self.over_at is None and self.level >= WORTH_TELLING

    def assert_again(self, said: Assertion, level: Level, at: datetime) -> None:
        """It is said once more, which is worth a line if it was over or is of another level."""
        if self.over_at is not None:
            self.over_at = None
            self.acknowledged_at = None
            self.is_news = True
            self._note(at, What.RAISED_AGAIN, said.message)
        else:
            self.repeats += 1
            self._note_level(level, at)
        self.level, self.message, self.source = level, said.message, said.source
        self.repeated_at = at
        self.has_changed = True

    def retract(self, at: datetime) -> None:
        """It is over; one that was over before stays as it is."""
        if self.over_at is not None:
            return
        self.over_at = at
        self.is_over_now = self.has_changed = True
        self._note(at, What.OVER)
        if not self.is_latched or self.acknowledged_at is not None:
            self.closed_at = at

    def newest_at(self) -> datetime:
        return max(self.repeated_at, self.over_at or self.repeated_at)

    def _note_level(self, level: Level, at: datetime) -> None:
        if level == self.level:
            return
        self.is_news = self.is_news or level > self.level
        self._note(at, What.CHANGED, f"from {self.level.word} to {level.word}")

    def _note(self, at: datetime, what: AlarmEvent.What, words: str = "") -> None:
        self.history.append(HistoryLine(at, what, words))


@dataclass(slots=True)
class AlarmLedger:
    """What is known of one name: its setting, and its open alarm if there is one."""

    key: AlarmKey
    is_latched: bool = False
    is_shelved: bool = False
    records: list[AlarmRecord] = field(default_factory=list)

    @property
    def changed(self) -> list[AlarmRecord]:
        return [record for record in self.records if record.has_changed]

    @property
    def open(self) -> AlarmRecord | None:
        newest = self.records[-1] if self.records else None
        return newest if newest and newest.closed_at is None else None

    def take_in(self, said: Assertion) -> None:
        """Fold one assertion in. A time before what is known of the open alarm is set to that."""
        record = self.open
        if said.level is None:
            if record is not None and record.over_at is None:
                record.retract(max(said.at, record.newest_at()))
        elif record is None:
            self.records.append(self._raised(said, said.level))
        else:
            record.assert_again(said, said.level, max(said.at, record.newest_at()))

    def _raised(self, said: Assertion, level: Level) -> AlarmRecord:
        at = max([said.at, *self._closed()])
        return AlarmRecord(
            key=self.key,
            origin=said.origin.value,
            level=level,
            source=said.source,
            message=said.message,
            raised_at=at,
            repeated_at=at,
            is_latched=self.is_latched,
            rule_id=said.rule_id,
            history=[HistoryLine(at, What.RAISED, said.message)],
            has_changed=True,
            is_news=True,
        )

    def _closed(self) -> Iterator[datetime]:
        return (record.closed_at for record in self.records if record.closed_at is not None)
