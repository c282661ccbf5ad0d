"""How much room the history takes, and when it will have taken how much."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """One part of the history: bytes now, bytes that each day adds, and for how many days.

    Then as much is dropped as comes. `days` is None where nothing is ever dropped.
    """

    bytes: int
    bytes_per_day: float
    days: float | None

    def bytes_after(self, days: float) -> float:
        growing = days if self.days is None else min(days, self.days)
        return self.bytes + growing * self.bytes_per_day


def days_until(parts: Sequence[Growth], size: float) -> float | None:
    """In how many days all parts take `size` bytes: 0 if they do, None if they never will."""
    if _bytes_after(parts, 0) >= size:
        return 0.0
    begin = 0.0
    for end in sorted({part.days for part in parts if part.days}):
        if _bytes_after(parts, end) >= size:
            break
        begin = end
    rate = sum(part.bytes_per_day for part in parts if part.days is None or part.days > begin)
    return begin + (size - _bytes_after(parts, begin)) / rate if rate > 0 else None


def _bytes_after(parts: Sequence[Growth], days: float) -> float:
    return sum(part.bytes_after(days) for part in parts)
