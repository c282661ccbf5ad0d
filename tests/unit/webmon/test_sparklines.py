"""Lines of PVs: inside their box, broken where values are missing."""

import datetime as dt
import re

import pytest

from dasmon_listener.domain.envelopes import Envelope
from webmon.status.sparklines import HEIGHT, WIDTH, sparkline

START = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


def envelope(*points: tuple[float, float | None, float | None]) -> Envelope:
    """Points of minutes after the start, lowest and highest value."""
    at = [START.timestamp() + 60 * minute for minute, _, _ in points]
    low, high = [low for _, low, _ in points], [high for *_, high in points]
    return Envelope("PV", "minute", at, low, high, low, high, [60] * len(points), [])


def test_a_line_stays_in_its_box_whatever_the_values() -> None:
    largest = 1.7e308
    line = sparkline(envelope((0, -largest, 0), (1, 0, largest), (120, 5, 6)), START)
    x, y = zip(*re.findall(r"[ML]([\d.]+) ([\d.]+)V", line.path), strict=True)
    assert all(0 <= float(each) <= WIDTH for each in x)
    ends = [float(each) for each in (*y, *re.findall(r"V([\d.]+)", line.path))]
    assert all(0 <= each <= HEIGHT for each in ends)
    assert (line.lowest, line.highest) == (-largest, largest)


def test_it_breaks_where_values_are_missing() -> None:
    points = [(float(minute), 1.0, 2.0) for minute in (*range(10), *range(60, 70))]
    line = sparkline(envelope((-1, None, None), *points), START)
    assert line.path.count("M") == 2


def test_how_often_values_come_is_seen_from_them() -> None:
    line = sparkline(envelope(*((float(minute), 1.0, 1.0) for minute in range(100))), START)
    assert line.expected_every is not None
    assert line.expected_every.total_seconds() == pytest.approx(1)
    assert sparkline(envelope(), START).path == ""
