"""Flat: P2 (a) with 10 thousand runs in the tables, and with 2 million, costs the same.

Each size is measured twice and the better one counts, so that what was cold is not taken for what
grew. The limit of each size is the smallest one's rate.
"""

from benchmarks import history
from benchmarks.events import dispatch_rate
from benchmarks.plant import Plant
from benchmarks.result import Result

SIZES = (10_000, 100_000, 2_000_000)
FLAT_BAR = 0.85  # of the rate with the smallest size
_MESSAGES = 2_000
_TIMES = 2


def measure(plant: Plant, largest: int, broker_name: str) -> list[Result]:
    """The rate of two thousand announcements at each size, up to `largest` runs."""
    dispatch_rate(plant, first=1, runs=_MESSAGES)  # a Java broker becomes fast while it works
    results: list[Result] = []
    there, first = 0, 1 + _MESSAGES
    for size in [*(each for each in SIZES if each < largest), largest]:
        history.fill(plant.plan.postgres.url, size, there)
        there = size
        rates, lost = [], 0
        for _ in range(_TIMES):
            rate, missing = dispatch_rate(plant, first, _MESSAGES)
            rates.append(rate)
            lost += missing
            first += _MESSAGES
        limit = results[0].limit if results else max(rates)
        results.append(_result(size, max(rates), limit, lost, broker_name))
    return results


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
