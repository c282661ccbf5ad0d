"""Numbers are written as people read them."""

import math

import pytest

from webmon.ui import numbers


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (0.0, "0"),
        (90210.4, "90,210.4"),
        (-0.00012345678, "-0.000123457"),
        (123456789.0, "123,456,789"),
        (123456789.6, "123,456,790"),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value: float | None, written: str) -> None:
    assert numbers.words(value) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 bytes"), (999, "999 bytes"), (999_600, "1 MB"), (1.5e9, "1.5 GB"), (2e16, "20,000 TB")],
)
def test_sizes(count: float, written: str) -> None:
    assert numbers.size(count) == written
