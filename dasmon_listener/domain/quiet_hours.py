"""The hours in which a person is not told of what can wait."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_EVERY_DAY = frozenset(range(7))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day until another, by the clock on the wall.

    They wrap over midnight when `begin` is the later one, and last a whole day when both are the
    same. `days` are those on which they begin, Monday is 0; none means all.
    """

    begin: time
    end: time
    days: frozenset[int] = frozenset()

    @property
    def is_always(self) -> bool:
        """Whether there is no hour in which anything could be told."""
        return self.begin == self.end and self._days == _EVERY_DAY

    def end_after(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When something that happens at `at` may be told: `at` itself outside of quiet hours.

        Quiet hours that follow each other without a pause count as one. Where `is_always`, the
        answer is the end of the eighth period, because there is no right one.
        """
        told = at
        for _ in range(8):
            end = self._end(told, zone)
            if end is None:
                break
            told = end
        return told

    @property
    def _days(self) -> frozenset[int]:
        return self.days or _EVERY_DAY

    def _end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """The end of the period in which `at` is."""
        periods = self._periods_around(at, zone)
        return next((end for begin, end in periods if begin <= at < end), None)

    def _periods_around(self, at: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
        """Those that begin on the day of `at` or the day before, in UTC.

        Each end is found on the wall's clock first, so that the night in which the clocks change
        ends at the hour that the person has chosen.
        """
        today = at.astimezone(zone).date()
        for day in (today - _DAY, today):
            if day.weekday() in self._days:
                last = day + _DAY if self.end <= self.begin else day
                yield (
                    datetime.combine(day, self.begin, zone).astimezone(UTC),
                    datetime.combine(last, self.end, zone).astimezone(UTC),
                )
