"""Which time a person looks at: a preset that ends now, or from one moment to another."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zoneinfo import ZoneInfo

# The name in addresses, in the order of the buttons.
PRESETS: Mapping[str, dt.timedelta] = MappingProxyType(
    {
        "15m": dt.timedelta(minutes=15),
        "1h": dt.timedelta(hours=1),
        "8h": dt.timedelta(hours=8),
        "1d": dt.timedelta(days=1),
        "1w": dt.timedelta(weeks=1),
        "1mo": dt.timedelta(days=30),
        "1y": dt.timedelta(days=365),
    }
)
PRESET_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "15m": "15 min",
        "1h": "1 h",
        "8h": "8 h",
        "1d": "1 day",
        "1w": "1 week",
        "1mo": "1 month",
        "1y": "1 year",
    }
)
USUAL = "8h"

EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
AHEAD = dt.timedelta(days=1)
SHORTEST = dt.timedelta(milliseconds=1)


class RangeError(ValueError):
    """An address names no time that can be shown; the text is for its author."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` to `end`; `preset` names its length if it ends now, `is_open` says that it does.

    `is_exact` is false where a time was told without its zone, and the facility's was taken.
    """

    start: dt.datetime
    end: dt.datetime
    preset: str = ""
    is_open: bool = False
    is_exact: bool = True

    @property
    def length(self) -> dt.timedelta:
        return self.end - self.start


def time_range(values: Mapping[str, str], now: dt.datetime, zone: ZoneInfo) -> TimeRange:
    """Read `range`, or `from` and perhaps `to`: ISO 8601, without an offset in `zone`.

    Raises:
        RangeError: not a time, not before the other, or out of all bounds.
    """
    begins, ends = values.get("from", "").strip(), values.get("to", "").strip()
    if not begins:
        return _preset(values.get("range", "") or USUAL, now)
    start, start_is_exact = _moment(begins, zone)
    end, end_is_exact = _moment(ends, zone) if ends else (now, True)
    if end - start < SHORTEST:
        raise RangeError("The end is not after the beginning: choose a later end.")
    return TimeRange(
        start,
        min(end, now + AHEAD),
        is_open=not ends,
        is_exact=start_is_exact and end_is_exact,
    )


def _preset(name: str, now: dt.datetime) -> TimeRange:
    length = PRESETS.get(name)
    if length is None:
        raise RangeError(f"“{name}” is no length of time here: choose one of {', '.join(PRESETS)}.")
    return TimeRange(now - length, now, preset=name, is_open=True)


def _moment(text: str, zone: ZoneInfo) -> tuple[dt.datetime, bool]:
    """In UTC, and whether its offset was told."""
    try:
        # In an address a plus sign that nobody escaped is a space.
        told = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        is_exact = told.tzinfo is not None
        at = (told if is_exact else told.replace(tzinfo=zone)).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise RangeError(f"“{text}” is no time: write it like 2026-11-20T18:30:00Z.") from error
    if at < EARLIEST:
        raise RangeError(f"“{text}” is before 1970, and nothing was measured then.")
    return at, is_exact


@dataclass(frozen=True, slots=True)
class Clock:
    """How the times of a range are told: `offset` seconds east of UTC, under the zone's `name`."""

    offset: int
    name: str


def clock(shown: TimeRange, zone: ZoneInfo) -> Clock:
    """The facility's clock, or UTC if that was changed within the range (summer time).

    An axis with an hour twice, or one missing, would be wrong somewhere.
    """
    start, end = shown.start.astimezone(zone), shown.end.astimezone(zone)
    offset = end.utcoffset()
    if offset is None or offset != start.utcoffset() or shown.length > dt.timedelta(days=120):
        return Clock(0, "UTC")
    return Clock(int(offset.total_seconds()), end.tzname() or zone.key)
