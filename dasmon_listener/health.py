"""How the listener is, and how long the disk lasts. One or two queries each.

Ages are counted by the database's clock, so that the clock of a web server does not matter.
"""

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from dasmon_listener.domain.growth import Growth, days_until
from dasmon_listener.sql import HEALTH

_DAY = dt.timedelta(days=1)
_LOCAL = ("localhost", "127.0.0.1", "::1", "")


@dataclass(frozen=True, slots=True)
class ListenerProcessHealth:
    """A listener, as it last told; `age` is how many seconds ago that was.

    Counts are of since it started. `lag` is the time from a message's arrival to its commit, None
    before the first one; `values_per_second` the mean since it started.
    """

    name: str
    started_at: dt.datetime
    alive_at: dt.datetime
    age: float
    is_active: bool
    is_connected: bool
    messages: int
    values: int
    shed: int
    unread: int
    waiting: int
    lag: dt.timedelta | None
    values_per_second: float


@dataclass(frozen=True, slots=True)
class ListenerHealth:
    """The listeners of the last day, the active one first, and what was lost in that time.

    `unread` are messages that could not be read; `gaps` times of which values are missing, `lost`
    as far as they were counted, `gap_length` their sum.
    """

    processes: list[ListenerProcessHealth]
    unread: int
    gaps: int
    lost: int
    gap_length: dt.timedelta

    @property
    def active(self) -> ListenerProcessHealth | None:
        """The one that writes; None if none does."""
        return next((each for each in self.processes if each.is_active), None)


@dataclass(frozen=True, slots=True)
class DiskForecast:
    """What samples, minutes and hours take with their indexes, and what each day adds."""

    samples: Growth
    minutes: Growth
    hours: Growth
    free_bytes: int | None

    @property
    def parts(self) -> tuple[Growth, Growth, Growth]:
        return self.samples, self.minutes, self.hours

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def bytes_per_day(self) -> float:
        """What is added today; less once as many old days are dropped as new ones come."""
        return sum(part.bytes_per_day for part in self.parts if part.days is None or part.days > 0)

    def bytes_after(self, days: float) -> float:
        return sum(part.bytes_after(days) for part in self.parts)

    def days_until(self, size: float) -> float | None:
        """In how many days it takes `size` bytes; None: never, at this rate."""
        return days_until(self.parts, size)

    @property
    def days_until_full(self) -> float | None:
        """In how many days nothing is free; None: never, or nobody knows what is free."""
        return None if self.free_bytes is None else self.days_until(self.bytes + self.free_bytes)


def listener_health() -> ListenerHealth:
    processes = [ListenerProcessHealth(*row) for row in _rows("processes")]
    ((unread, gaps, lost, length),) = _rows("troubles")
    processes.sort(key=lambda process: (not process.is_active, process.age))
    return ListenerHealth(processes, unread, gaps, lost, length)


def disk_forecast() -> DiskForecast:
    """From what the last days took; a day that is not over counts by how much of it is."""
    now = timezone.now()
    sizes: dict[str, dict[str, int]] = {}
    for table, part, size in _rows("sizes"):
        sizes.setdefault(table, {})[part] = size
    ((heard, bytes_of_hour, folder),) = _rows("surroundings", {"now": now})
    samples, minutes = sizes["dasmon_sample"], sizes["dasmon_minute"]
    full_days = _in_the_past(samples, f"dasmon_sample_{now:%Y_%m_%d}")
    return DiskForecast(
        Growth(
            sum(samples.values()),
            _bytes_per_day(samples, now),
            _left(settings.DASMON_RAW_DAYS, len(full_days)),
        ),
        Growth(
            sum(minutes.values()),
            _minute_bytes_per_day(minutes, now),
            _left(settings.DASMON_MINUTE_DAYS, 30 * len(_in_the_past(minutes, _month(now)))),
        ),
        Growth(sum(sizes["dasmon_hour"].values()), heard * 24 * bytes_of_hour, None),
        _free_bytes(folder),
    )


def _bytes_per_day(samples: dict[str, int], now: dt.datetime) -> float:
    """The fullest of the last three days, or of today what there will be."""
    days = [now - days * _DAY for days in (1, 2, 3)]
    full = [samples.get(f"dasmon_sample_{day:%Y_%m_%d}", 0) for day in days]
    part = (now - _midnight(now)) / _DAY
    return max(*full, samples.get(f"dasmon_sample_{now:%Y_%m_%d}", 0) / max(part, 0.05))


def _minute_bytes_per_day(minutes: dict[str, int], now: dt.datetime) -> float:
    """This month's, or those of the month before if they are more."""
    begin = _midnight(now).replace(day=1)
    before = begin - _DAY
    return max(
        minutes.get(_month(now), 0) / max((now - begin) / _DAY, 0.5),
        minutes.get(_month(before), 0) / before.day,
    )


def _in_the_past(parts: dict[str, int], present: str) -> list[str]:
    """Parts before this one that are not empty tables; the names are in the order of time."""
    empty = 64 * 1024
    return [name for name, size in parts.items() if name < present and size > empty]


def _left(kept: int, there: int) -> float | None:
    """For how many days there will be more; None: for ever."""
    return max(0.0, float(kept - there)) if kept else None


def _free_bytes(folder: str | None) -> int | None:
    host = connection.settings_dict["HOST"]
    if not folder or not (host in _LOCAL or host.startswith("/")):
        return None
    try:
        return shutil.disk_usage(Path(folder)).free
    except OSError:  # a container of its own: its disk is not ours to see
        return None


def _month(at: dt.datetime) -> str:
    return f"dasmon_minute_{at:%Y_%m}"


def _midnight(at: dt.datetime) -> dt.datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _rows(statement: str, values: dict[str, Any] | None = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(HEALTH[statement], values)
        return cursor.fetchall()
