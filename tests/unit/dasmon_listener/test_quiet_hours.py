"""When something that happens in quiet hours may be told."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dasmon_listener.domain.quiet_hours import QuietHours

OAK_RIDGE = ZoneInfo("America/New_York")
NIGHT = QuietHours(time(22), time(7))
WEEKEND = QuietHours(time(0), time(0), frozenset({5, 6}))
WEEK_NIGHTS = QuietHours(time(22), time(7), frozenset({0, 1, 2, 3}))


def local(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OAK_RIDGE, fold=fold)


@pytest.mark.parametrize(
    ("quiet", "at", "told"),
    [
        (NIGHT, "2026-11-18 21:59:59", "2026-11-18 21:59:59"),
        (NIGHT, "2026-11-18 22:00", "2026-11-19 07:00"),
        (NIGHT, "2026-11-19 03:00", "2026-11-19 07:00"),
        (NIGHT, "2026-11-19 07:00", "2026-11-19 07:00"),
        (QuietHours(time(12), time(13)), "2026-11-19 12:30", "2026-11-19 13:00"),
        (QuietHours(time(12), time(13)), "2026-11-19 13:00", "2026-11-19 13:00"),
        # 2026-11-21 is a Saturday: the two days are one quiet time.
        (WEEKEND, "2026-11-20 23:59", "2026-11-20 23:59"),
        (WEEKEND, "2026-11-21 00:00", "2026-11-23 00:00"),
        (WEEKEND, "2026-11-22 12:00", "2026-11-23 00:00"),
        # The day is the one on which the night begins: Thursday's ends on Friday.
        (WEEK_NIGHTS, "2026-11-20 03:00", "2026-11-20 07:00"),
        (WEEK_NIGHTS, "2026-11-20 23:00", "2026-11-20 23:00"),
        (WEEK_NIGHTS, "2026-11-23 03:00", "2026-11-23 03:00"),
        # The clocks go back on 2026-11-01 and forward on 2027-03-14: it is 7 on the wall.
        (NIGHT, "2026-10-31 23:00", "2026-11-01 07:00"),
        (NIGHT, "2027-03-13 23:00", "2027-03-14 07:00"),
    ],
)
def test_quiet_hours_postpone_to_their_end(quiet: QuietHours, at: str, told: str) -> None:
    assert quiet.end_after(local(at), OAK_RIDGE) == local(told)


def test_the_hour_that_comes_twice_is_quiet_twice() -> None:
    quiet = QuietHours(time(1, 30), time(3))
    for fold in (0, 1):
        at = local("2026-11-01 01:45", fold)
        assert quiet.end_after(at, OAK_RIDGE) == local("2026-11-01 03:00")


@given(
    at=some.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=some.just(UTC)),  # noqa: DTZ001
    begin=some.times(),
    end=some.times(),
    days=some.frozensets(some.integers(0, 6)),
)
def test_what_is_told_is_told_outside_of_quiet_hours(
    at: datetime, begin: time, end: time, days: frozenset[int]
) -> None:
    quiet = QuietHours(begin, end, days)
    told = quiet.end_after(at, OAK_RIDGE)
    assert told >= at
    assert quiet.is_always or quiet.end_after(told, OAK_RIDGE) == told


def test_hours_without_a_pause_are_known() -> None:
    assert QuietHours(time(5), time(5)).is_always
    assert QuietHours(time(5), time(5), frozenset(range(7))).is_always
    assert not QuietHours(time(5), time(5), frozenset({1})).is_always
    assert not NIGHT.is_always
