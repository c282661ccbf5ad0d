"""Flat: P2 (a) with 10 thousand runs in the tables, and with 2 million, costs the same.

Databases of all sizes are on one server and take turns with one broker, so that what was cold,
or became slower or faster in between, is not taken for what grew. The median of the turns counts;
the limit of each size is the smallest one's rate.
"""

import statistics

from benchmarks import history
from benchmarks.events import dispatch_rate
from benchmarks.plant import Plant
from benchmarks.result import Result

SIZES = (10_000, 100_000, 2_000_000)
FLAT_BAR = 0.85  # of the rate with the smallest size
_MESSAGES = 2_000
_TURNS = 5
_WARM_UP = 5_000


def measure(plant: Plant, largest: int, broker_name: str) -> list[Result]:
    """The rate of two thousand announcements at each size, up to `largest` runs."""
    dispatch_rate(plant, 1, _WARM_UP)
    plants = {size: _filled(plant, size) for size in (*(s for s in SIZES if s < largest), largest)}
    rates: dict[int, list[float]] = {size: [] for size in plants}
    lost = dict.fromkeys(plants, 0)
    first = 1 + _WARM_UP
    for _ in range(_TURNS):
        for size, each in plants.items():
            rate, missing = dispatch_rate(each, first, _MESSAGES)
            rates[size].append(rate)
            lost[size] += missing
            first += _MESSAGES
    medians = {size: statistics.median(found) for size, found in rates.items()}
    limit = medians[min(medians)]
    return [_result(size, rate, limit, lost[size], broker_name) for size, rate in medians.items()]


def _filled(plant: Plant, size: int) -> Plant:
    filled = plant.with_copy(f"with_{size}")
    history.fill(filled.address, size)
    return filled


def _result(size: int, rate: float, limit: float, lost: int, broker_name: str) -> Result:
    return Result(
        bar="flat",
        what=f"DATA_READY dispatched with {size:,} runs in the table ({broker_name})",
        ours=rate,
        limit=limit,
        unit="runs/s",
        lost=lost,
        needed=FLAT_BAR * limit,
    )
