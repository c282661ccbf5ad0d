"""When the history takes how much."""

import pytest

from dasmon_listener.domain.growth import Growth, days_until

SAMPLES = Growth(100, 10.0, 5)
HOURS = Growth(10, 1.0, None)


@pytest.mark.parametrize(
    ("size", "days"),
    [(50, 0.0), (110, 0.0), (132, 2.0), (165, 5.0), (175, 15.0)],
)
def test_samples_stop_growing_when_old_days_are_dropped(size: float, days: float) -> None:
    assert days_until([SAMPLES, HOURS], size) == pytest.approx(days)


def test_what_is_dropped_never_fills_the_disk() -> None:
    assert days_until([SAMPLES], 150) == pytest.approx(5)
    assert days_until([SAMPLES], 151) is None
    assert days_until([Growth(100, 10.0, 0)], 101) is None
    assert SAMPLES.bytes_after(365) == 150
