"""Little charts of the last hours of PVs, drawn here so that a phone need not."""

import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.core.cache import cache

from dasmon_listener.selectors import Envelope, pv_series
from workflow_manager.models import Instrument

SPAN = dt.timedelta(hours=2)
POINTS = 60
WIDTH, HEIGHT = 120, 24
_MARGIN = 1.5
# Values change on the page each second; how they ran in two hours does not.
_KEPT = 20


@dataclass(frozen=True, slots=True)
class Sparkline:
    """`path` is an SVG path in a box of 120 by 24, empty without numbers.

    `expected_every` is how often values came, None if too few to tell.
    """

    path: str
    lowest: float | None
    highest: float | None
    expected_every: dt.timedelta | None


NOTHING = Sparkline("", None, None, None)


def sparklines(
    instrument: Instrument, names: Sequence[str], now: dt.datetime
) -> dict[str, Sparkline]:
    """By name; what was drawn less than 20 s ago is used again."""
    kept = kept_sparklines(instrument, names)
    if kept or not names:
        return kept
    drawn = _drawn(instrument, names, now)
    cache.set(_key(instrument, names), drawn, _KEPT)
    return drawn


def kept_sparklines(instrument: Instrument, names: Sequence[str]) -> dict[str, Sparkline]:
    """Those that were drawn a moment ago, without asking the database; empty if none were."""
    return cache.get(_key(instrument, names)) or {}


def _key(instrument: Instrument, names: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return f"sparklines-{instrument.pk}-{digest}"


def _drawn(instrument: Instrument, names: Sequence[str], now: dt.datetime) -> dict[str, Sparkline]:
    start = now - SPAN
    found = pv_series(names, start, now, points=POINTS, instrument=instrument)
    return {each.name: sparkline(each, start) for each in found}


def sparkline(envelope: Envelope, start: dt.datetime) -> Sparkline:
    """Each point is a stroke from the lowest to the highest value of its time."""
    points = list(_points(envelope))
    every = _expected_every(envelope)
    if not points:
        return Sparkline("", None, None, every)
    lowest, highest = min(low for _, low, _ in points), max(high for *_, high in points)
    scale = _Scale(start.timestamp(), lowest, highest)
    return Sparkline(_path(points, scale), lowest, highest, every)


@dataclass(frozen=True, slots=True)
class _Scale:
    begins: float
    lowest: float
    highest: float

    def x(self, at: float) -> float:
        return WIDTH * (at - self.begins) / SPAN.total_seconds()

    def y(self, value: float) -> float:
        """A value that never changes is a line in the middle."""
        if self.highest == self.lowest:
            return HEIGHT / 2
        part = value / 2 - self.lowest / 2
        part /= self.highest / 2 - self.lowest / 2
        return HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * part


Point = tuple[float, float, float]


def _points(envelope: Envelope) -> Iterator[Point]:
    for at, low, high in zip(envelope.at, envelope.minimum, envelope.maximum, strict=True):
        if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
            yield at, low, high


def _path(points: Iterable[Point], scale: _Scale) -> str:
    """Lines between neighbours; where values are missing for long there is a break."""
    pieces, before = [], -math.inf
    longest = 4 * SPAN.total_seconds() / POINTS
    for at, low, high in points:
        letter = "L" if at - before <= longest else "M"
        bottom, top = scale.y(low), scale.y(high)
        pieces.append(f"{letter}{scale.x(at):.1f} {bottom:.1f}V{top:.1f}")
        before = at
    return "".join(pieces)


def _expected_every(envelope: Envelope) -> dt.timedelta | None:
    """The mean interval between values while there were some."""
    total = sum(envelope.count)
    if total < 3 or len(envelope.at) < 2:
        return None
    span = envelope.at[-1] - envelope.at[0]
    return dt.timedelta(seconds=span / (total - envelope.count[-1]))
