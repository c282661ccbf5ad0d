"""How a range of time is read so that what is drawn is exact and quick: level, buckets, parts.

An envelope has at most so many points; each is a bucket of time with the smallest and the largest
value in it, so that no peak is lost however many values one pixel stands for.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

# So many rows are read and put into buckets in well under 100 ms.
MOST_ROWS = 60_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINEST = timedelta(milliseconds=1)
_FEWEST_POINTS = 2


class Grain(StrEnum):
    """What is read: samples, or what is kept of their minutes or hours."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"

    @property
    def unit(self) -> timedelta:
        """What one row stands for; buckets are multiples of it."""
        return _UNITS[self]


_UNITS = {
    Grain.RAW: _FINEST,
    Grain.MINUTE: timedelta(minutes=1),
    Grain.HOUR: timedelta(hours=1),
}


class Span(NamedTuple):
    """From `begin` until before `end`; empty if they are the same."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """Buckets of `width`, at whole multiples of it since 1970, made of rows of three tables.

    Samples not yet rolled up stand for their minutes, and minutes for their hours.
    """

    grain: Grain
    width: timedelta
    hours: Span
    minutes: Span
    samples: Span


@dataclass(frozen=True, slots=True)
class Envelope:
    """One series: a list entry for each bucket with samples, or for each sample if they are few.

    `at` are seconds since 1970: where buckets begin, or the times of samples. `count` counts all
    samples; the others are of finite numbers, None where there was none; a mean of minutes or hours
    weighs them by `count`. `texts` are the times and texts of samples that are no finite numbers,
    the newest as many as there may be points, for the level `raw` only.
    """

    name: str
    level: str
    at: list[float]
    minimum: list[float | None]
    maximum: list[float | None]
    mean: list[float | None]
    last: list[float | None]
    count: list[int]
    texts: list[tuple[float, str]]


def reading(
    range_: Span,
    points: int,
    rates: list[float],
    *,
    raw_since: datetime | None,
    rolled_up_before: datetime | None,
) -> Reading:
    """How to read series, whose samples per second are `rates`, as at most `points` buckets each.

    The range is widened to whole rows of the level. `raw_since` is where samples begin (None: there
    are none), `rolled_up_before` until when minutes are complete (None: nothing is rolled up).
    """
    points = max(points, _FEWEST_POINTS)
    grain = _grain(range_, points, rates, raw_since)
    begin = floor(range_.begin, grain.unit)
    end = max(begin, ceiling(range_.end, grain.unit))
    width = ceiling_of((end - begin) / (points - 1), grain.unit)
    return Reading(grain, width, *_parts(grain, begin, end, rolled_up_before))


def _grain(range_: Span, points: int, rates: list[float], raw_since: datetime | None) -> Grain:
    """The coarsest that fills the points, or a coarser one where that means too many rows."""
    length = range_.end - range_.begin
    if length / points >= Grain.HOUR.unit:
        return Grain.HOUR
    is_kept = raw_since is not None and range_.begin >= raw_since
    samples = sum(rates) * length.total_seconds()
    if length / points < Grain.MINUTE.unit and is_kept and samples <= MOST_ROWS:
        return Grain.RAW
    minutes = len(rates) * (length / Grain.MINUTE.unit)
    return Grain.MINUTE if minutes <= MOST_ROWS else Grain.HOUR


def _parts(
    grain: Grain, begin: datetime, end: datetime, rolled_up_before: datetime | None
) -> tuple[Span, Span, Span]:
    """Hours, minutes, and samples, each from where the one before is not complete."""
    minutes_end = hours_end = begin
    if grain is not Grain.RAW and rolled_up_before is not None:
        minutes_end = _between(begin, floor(rolled_up_before, Grain.MINUTE.unit), end)
        if grain is Grain.HOUR:
            hours_end = _between(begin, floor(rolled_up_before, Grain.HOUR.unit), end)
    return Span(begin, hours_end), Span(hours_end, minutes_end), Span(minutes_end, end)


def floor(at: datetime, unit: timedelta) -> datetime:
    """The last whole multiple of `unit` since 1970 that is not after `at`."""
    return _EPOCH + (at - _EPOCH) // unit * unit


def ceiling(at: datetime, unit: timedelta) -> datetime:
    """The first whole multiple of `unit` since 1970 that is not before `at`."""
    return _EPOCH + ceiling_of(at - _EPOCH, unit, fewest=None)


def ceiling_of(length: timedelta, unit: timedelta, *, fewest: int | None = 1) -> timedelta:
    """The smallest multiple of `unit` that is not below `length`, and at least `fewest` units."""
    units = -(-length // unit)
    return (units if fewest is None else max(units, fewest)) * unit


def _between(lowest: datetime, at: datetime, highest: datetime) -> datetime:
    return min(max(lowest, at), highest)
