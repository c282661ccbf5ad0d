"""How a range is read: never more points or rows than allowed, never a moment left out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasmon_listener.domain.envelopes import MOST_ROWS, Grain, Reading, Span, floor, reading

NOW = datetime(2026, 11, 21, 8, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

instants = st.datetimes(  # Hypothesis adds the zone itself
    datetime(2000, 1, 1),  # noqa: DTZ001
    datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def read(length: timedelta, points: int = 1000, series: int = 8, end: datetime = NOW) -> Reading:
    return reading(
        Span(end - length, end),
        points,
        [1.0] * series,
        raw_since=NOW - 14 * DAY,
        rolled_up_before=NOW - timedelta(seconds=20),
    )


@pytest.mark.parametrize(
    ("length", "series", "grain"),
    [
        (365 * DAY, 1, Grain.HOUR),
        (365 * DAY, 8, Grain.HOUR),
        (30 * DAY, 1, Grain.MINUTE),
        (30 * DAY, 8, Grain.HOUR),
        (7 * DAY, 8, Grain.HOUR),
        (5 * DAY, 8, Grain.MINUTE),
        (DAY, 8, Grain.MINUTE),
        (12 * HOUR, 1, Grain.RAW),
        (12 * HOUR, 8, Grain.MINUTE),
        (HOUR, 8, Grain.RAW),
        (timedelta(minutes=1), 8, Grain.RAW),
    ],
)
def test_the_level_fills_the_points_unless_that_means_too_many_rows(
    length: timedelta, series: int, grain: Grain
) -> None:
    assert read(length, series=series).grain is grain


def test_where_samples_are_gone_minutes_are_read() -> None:
    assert read(HOUR, end=NOW - 20 * DAY).grain is Grain.MINUTE


def test_samples_that_come_often_are_not_all_read() -> None:
    span = Span(NOW - HOUR, NOW)
    often = reading(span, 1000, [50.0], raw_since=NOW - DAY, rolled_up_before=NOW)
    assert often.grain is Grain.MINUTE


def test_what_is_not_rolled_up_comes_from_the_level_below() -> None:
    year = read(365 * DAY)
    hour, minute = floor(NOW, HOUR), floor(NOW, timedelta(minutes=1))
    assert (year.hours.end, year.minutes) == (hour, Span(hour, minute))
    assert year.samples == Span(minute, hour + HOUR)
    nothing = reading(Span(NOW - DAY, NOW), 10, [1.0], raw_since=None, rolled_up_before=None)
    assert nothing.samples.begin == nothing.hours.begin


@given(
    begin=instants,
    length=st.timedeltas(timedelta(0), 4000 * DAY),
    points=st.integers(1, 3000),
    series=st.integers(0, 20),
    rate=st.floats(0, 1000),
    raw_since=st.none() | instants,
    done=st.none() | instants,
)
def test_no_moment_is_left_out_or_read_twice_and_no_points_are_too_many(
    *,
    begin: datetime,
    length: timedelta,
    points: int,
    series: int,
    rate: float,
    raw_since: datetime | None,
    done: datetime | None,
) -> None:
    end = begin + length
    plan = reading(
        Span(begin, end), points, [rate] * series, raw_since=raw_since, rolled_up_before=done
    )
    assert plan.hours.begin <= begin and end <= plan.samples.end
    assert begin - plan.hours.begin < plan.grain.unit
    assert plan.samples.end - end < plan.grain.unit
    assert plan.hours.end == plan.minutes.begin and plan.minutes.end == plan.samples.begin
    assert all(span.begin <= span.end for span in (plan.hours, plan.minutes, plan.samples))
    assert plan.width % plan.grain.unit == timedelta(0)
    first, last = (floor(at, plan.width) for at in (plan.hours.begin, plan.samples.end))
    buckets = -(-(plan.samples.end - first) // plan.width)
    assert buckets <= max(points, 2) and first <= last
    if plan.grain is Grain.RAW:
        assert raw_since is not None and raw_since <= begin
        assert length.total_seconds() * rate * series <= MOST_ROWS
