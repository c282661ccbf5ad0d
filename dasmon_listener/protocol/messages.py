"""What instruments and services say, typed. Times are seconds since 1970 by the sender's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.topics import Topic


@dataclass(frozen=True, slots=True)
class StatusValues:
    """Named values as text, such as DASMON sends them. Without `at` the sender told no time."""

    topic: Topic
    at: float | None
    values: Mapping[str, str]

    @property
    def size(self) -> int:
        return len(self.values)


class PvReading(NamedTuple):
    """`value` is None where the sender has none."""

    name: str
    value: str | None
    status: int | None
    at: float | None


@dataclass(frozen=True, slots=True)
class PvReadings:
    """Many PVs of an instrument at once."""

    topic: Topic
    readings: Sequence[PvReading]

    @property
    def size(self) -> int:
        return len(self.readings)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process says that it is there. `name` is as in `system_<name>`; 0 is a good status."""

    topic: Topic
    at: float | None
    name: str
    status: str
    pid: str | None


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What became of a reduction script that a page asked for: a sentence for people."""

    topic: Topic
    at: float | None
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Signal:
    topic: Topic
    report: SignalReport


@dataclass(frozen=True, slots=True)
class Answer:
    """To our ping; `asked_at` is what the ping said."""

    topic: Topic
    name: str
    status: str
    pid: str
    is_workflow_manager: bool
    asked_at: float | None


@dataclass(frozen=True, slots=True)
class RunNote:
    """The workflow manager records these."""

    topic: Topic


Telemetry = StatusValues | PvReadings
Notable = Heartbeat | ScriptResult | Signal | Answer
Message = Telemetry | Notable | RunNote
