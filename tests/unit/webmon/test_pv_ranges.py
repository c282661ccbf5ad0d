"""Which time an address means, and by which clock it is told."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from webmon.pvs.ranges import PRESET_WORDS, PRESETS, RangeError, TimeRange, clock, time_range

NOW = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
ZONE = ZoneInfo("America/New_York")


def utc(year: int, month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=dt.UTC)


def ask(**values: str) -> TimeRange:
    named = {"from" if name == "begins" else name: value for name, value in values.items()}
    return time_range(named, NOW, ZONE)


def test_a_preset_ends_now_and_stays_open() -> None:
    assert list(PRESETS) == list(PRESET_WORDS)
    found = ask(range="1w")
    assert (found.length, found.end, found.preset) == (dt.timedelta(weeks=1), NOW, "1w")
    assert found.is_open and found.is_exact
    assert ask().length == dt.timedelta(hours=8)


@pytest.mark.parametrize(
    ("text", "at", "is_exact"),
    [
        ("2026-11-20T10:00:00Z", utc(2026, 11, 20, 10), True),
        ("2026-11-20T10:00:00 01:00", utc(2026, 11, 20, 9), True),  # a plus sign as addresses do
        ("2026-11-20T10:00", utc(2026, 11, 20, 15), False),
        ("2026-11-20 10:00:00", utc(2026, 11, 20, 15), False),
    ],
)
def test_a_time_has_its_offset_or_is_the_facility_s(
    text: str, at: dt.datetime, is_exact: bool
) -> None:
    found = ask(begins=text)
    assert (found.start, found.end, found.is_open, found.is_exact) == (at, NOW, True, is_exact)


def test_an_end_closes_a_range_and_is_not_far_ahead() -> None:
    found = ask(begins="2026-11-20T10:00:00Z", to="2026-11-20T10:00:01Z")
    assert not found.is_open and found.length == dt.timedelta(seconds=1)
    assert ask(begins="2026-11-20T10:00:00Z", to="9999-01-01").end == NOW + dt.timedelta(days=1)


@pytest.mark.parametrize(
    "values",
    [
        {"range": "2w"},
        {"range": "x" * 5000},
        {"begins": "yesterday"},
        {"begins": "1969-12-31T23:59:59Z"},
        {"begins": "0001-01-01T00:00:00+14:00"},
        {"begins": "9999-12-31T23:59:59-14:00"},
        {"begins": "nan"},
        {"begins": "1" * 5000},
        {"begins": "2026-11-20T10:00:00Z", "to": "2026-11-20T10:00:00Z"},
        {"begins": "2026-11-20T10:00:00Z", "to": "'; DROP TABLE dasmon_sample; --"},
        {"begins": "2027-11-20T10:00:00Z"},
    ],
)
def test_what_is_no_range_is_refused_with_a_sentence(values: dict[str, str]) -> None:
    with pytest.raises(RangeError, match=r"\.$"):
        ask(**values)


def test_times_are_told_by_the_facility_s_clock_unless_it_was_changed_meanwhile() -> None:
    winter = clock(TimeRange(utc(2026, 11, 20), utc(2026, 11, 21)), ZONE)
    assert (winter.offset, winter.name) == (-5 * 3600, "EST")
    summer_ends = clock(TimeRange(utc(2026, 10, 31), utc(2026, 11, 2)), ZONE)
    assert (summer_ends.offset, summer_ends.name) == (0, "UTC")
    both_changes = clock(TimeRange(utc(2026, 1, 10), utc(2026, 12, 10)), ZONE)
    assert both_changes.name == "UTC"
