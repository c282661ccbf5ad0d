"""What has come and is not written yet: bounded, and fair between instruments.

When more values wait than may, the oldest of the instrument that has most of them go, and the gap
is known. Signals and signs of life always stay: there is one sign of each process at most, and
signals are acknowledged after they are written, so the broker bounds them.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dasmon_listener.protocol.messages import (
    Heartbeat,
    Notable,
    PvReadings,
    StatusValues,
    Telemetry,
)
from workflow_manager.broker.ports import Delivery

SHED_REASON = (
    "More values came than could be written; the oldest of this instrument were dropped, "
    "because it had most."
)
_SAME_GAP = 10.0  # seconds without shedding, after which the next is another gap
_MOST_UNREAD = 1_000  # kinds of unread messages that are told apart
_MOST_UNREAD_BYTES = 64 * 1024 * 1024  # of their bodies; what is beyond is only counted
_LONGEST_DESTINATION = 500
_BYTES_OF_A_VALUE = 200  # more of them count as more values: memory is bounded too


@dataclass(slots=True)
class Taken:
    """A message and when it came, in seconds since 1970."""

    message: Telemetry | Notable
    received_at: float
    destination: str
    body: bytes
    delivery: Delivery | None = None  # to be acknowledged when it is written


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that could not be read or kept, and why."""

    destination: str
    reason: str
    body: bytes
    times: int = 1


@dataclass(frozen=True, slots=True)
class Missing:
    """A time of which values are missing; the same one is told again while it grows."""

    instrument: str | None
    began_at: float
    ended_at: float
    lost: int | None
    reason: str


@dataclass(slots=True)
class Batch:
    """What is written in one transaction."""

    telemetry: list[Taken] = field(default_factory=list)
    notable: list[Taken] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    gaps: list[Missing] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.telemetry or self.notable or self.unread or self.gaps)

    @property
    def taken(self) -> list[Taken]:
        return [*self.telemetry, *self.notable]

    @property
    def values(self) -> int:
        return sum(size_of(each) for each in self.telemetry)


def size_of(taken: Taken) -> int:
    """How many values a message holds."""
    message = taken.message
    return message.size if isinstance(message, StatusValues | PvReadings) else 0


def _weight(taken: Taken) -> int:
    """What a message counts for: its values, or more if they are long texts; never nothing."""
    return max(1, size_of(taken), len(taken.body) // _BYTES_OF_A_VALUE)


class _Line:
    """The values of one instrument that wait, oldest first."""

    def __init__(self) -> None:
        self.waiting: deque[Taken] = deque()
        self.weight = 0

    def append(self, taken: Taken) -> None:
        self.waiting.append(taken)
        self.weight += _weight(taken)

    def pop(self) -> Taken:
        taken = self.waiting.popleft()
        self.weight -= _weight(taken)
        return taken


@dataclass(slots=True)
class _Shedding:
    began_at: float
    ended_at: float
    shed_at: float
    lost: int = 0
    is_told: bool = False


class Intake:
    """Filled by the receiving thread, emptied by the writing one.

    Args:
        most: values that may wait here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._weight = 0
        self._signs: dict[tuple[str, str], Taken] = {}
        self._notable: list[Taken] = []
        self._unread: dict[tuple[str, str], Unread] = {}
        self._unread_bytes = 0
        self._gaps: list[Missing] = []
        self._shedding: dict[str, _Shedding] = {}
        self.shed = 0

    @property
    def waiting(self) -> int:
        """How many values wait, long ones counted as several."""
        return self._weight

    def put(self, telemetry: Iterable[Taken], notable: Iterable[Taken], now: float) -> list[Taken]:
        """Take in what came. Return signs of life that newer ones replace: they are settled."""
        with self._lock:
            for taken in telemetry:
                name = taken.message.topic.instrument
                line = self._lines.get(name)
                if line is None:
                    line = self._lines[name] = _Line()
                line.append(taken)
                self._weight += _weight(taken)
            replaced = [old for taken in notable for old in self._put_notable(taken)]
            if self._weight > self._most:
                self._shed(now)
        return replaced

    def _put_notable(self, taken: Taken) -> list[Taken]:
        message = taken.message
        if not isinstance(message, Heartbeat):
            self._notable.append(taken)
            return []
        key = (message.topic.instrument, message.name)
        old = self._signs.get(key)
        self._signs[key] = taken
        return [] if old is None else [old]

    def put_unread(self, unread: Unread) -> None:
        """Count what could not be read; the newest of a kind is kept whole, if there is room."""
        destination = unread.destination[:_LONGEST_DESTINATION]
        key = (destination, unread.reason)
        with self._lock:
            if key not in self._unread and len(self._unread) >= _MOST_UNREAD:
                key = ("", "It is one of too many different messages that could not be read.")
            known = self._unread.get(key)
            times = unread.times + (known.times if known else 0)
            body = known.body if known else b""
            if self._unread_bytes - len(body) + len(unread.body) <= _MOST_UNREAD_BYTES:
                self._unread_bytes += len(unread.body) - len(body)
                body = unread.body
            self._unread[key] = Unread(*key, body, times)

    def put_gap(self, gap: Missing) -> None:
        with self._lock:
            self._gaps.append(gap)

    def take(self, most: int) -> Batch:
        """What is to be written next, about `most` values; the quiet instruments come first."""
        with self._lock:
            batch = Batch(
                self._take_telemetry(most),
                [*self._signs.values(), *self._notable],
                list(self._unread.values()),
                [*self._gaps, *self._shed_gaps()],
            )
            self._signs, self._notable, self._unread, self._gaps = {}, [], {}, []
            self._unread_bytes = 0
            return batch

    def _take_telemetry(self, most: int) -> list[Taken]:
        found: list[Taken] = []
        left = most
        for name in sorted(self._lines, key=lambda name: self._lines[name].weight):
            line = self._lines[name]
            if line.weight <= left:
                found += line.waiting
                left -= line.weight
                self._weight -= line.weight
                del self._lines[name]
                continue
            while left > 0:
                taken = line.pop()
                found.append(taken)
                left -= _weight(taken)
                self._weight -= _weight(taken)
        return found

    def _shed(self, now: float) -> None:
        while self._weight > self._most:
            name = max(self._lines, key=lambda name: self._lines[name].weight)
            line = self._lines[name]
            # As far as the next noisiest one, or as needed, so that few look-ups are made.
            for _ in range(max(1, len(line.waiting) // 100)):
                if self._weight <= self._most:
                    break
                self._count_shed(name, line.pop(), now)

    def _count_shed(self, name: str, taken: Taken, now: float) -> None:
        lost = size_of(taken)
        self._weight -= _weight(taken)
        self.shed += lost
        known = self._shedding.get(name)
        if known is None or now - known.shed_at > _SAME_GAP:
            known = _Shedding(taken.received_at, taken.received_at, now)
            self._shedding[name] = known
        known.ended_at = max(known.ended_at, taken.received_at)
        known.shed_at = now
        known.lost += lost
        known.is_told = False

    def _shed_gaps(self) -> Sequence[Missing]:
        untold = {name: each for name, each in self._shedding.items() if not each.is_told}
        for each in untold.values():
            each.is_told = True
        return [
            Missing(name, each.began_at, each.ended_at, each.lost, SHED_REASON)
            for name, each in untold.items()
        ]
