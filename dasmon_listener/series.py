"""What instruments and series are called, and their numbers: remembered, and made when new."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db.backends.utils import CursorWrapper

from dasmon_listener.domain.series import Kind
from dasmon_listener.sql import INGEST

MOST_STATUS_VALUES = 5_000  # of an instrument

NOT_RECORDED = 0  # in place of the number of a series whose values nobody wants

_LOOK_AGAIN = 3.0  # seconds, for series that people want no more
_FORGET_ALL = 60.0  # seconds, for what was deleted or renamed

Names = dict[str, int]


class SeriesKey(NamedTuple):
    instrument: int
    kind: Kind
    name: str


class Register:
    """The numbers of instruments and series. What is made belongs to the caller's transaction.

    After a transaction that was rolled back it must `forget`.

    Args:
        most_new_instruments: that may be made within an hour.
    """

    def __init__(
        self,
        *,
        most_status_values: int = MOST_STATUS_VALUES,
        most_new_instruments: int = 50,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_status_values = most_status_values
        self._most_new_instruments = most_new_instruments
        self._clock = clock
        self._instruments: dict[str, int] = {}
        self._series: dict[tuple[int, Kind], Names] = {}
        self._made_at: list[float] = []
        self._made_before: list[float] = []  # this transaction
        self._look_at = self._forget_at = float("-inf")

    def forget(self) -> None:
        """Ask the database for everything again; what the transaction made was not made."""
        self._made_at = list(self._made_before)
        self._instruments, self._series = {}, {}
        self._look_at = float("-inf")

    def look(self, cursor: CursorWrapper) -> None:
        """Begin a transaction: learn, now and then, what people have changed."""
        now = self._clock()
        self._made_before = list(self._made_at)
        if now >= self._forget_at:
            self.forget()
            self._forget_at = now + _FORGET_ALL
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN
            cursor.execute(INGEST["unrecorded"])
            unwanted = {number for (number,) in cursor.fetchall()}
            self._drop_what_changed(unwanted)

    def _drop_what_changed(self, unwanted: Collection[int]) -> None:
        """Names whose remembered answer is no longer right are asked for again."""
        for names in self._series.values():
            for name in [n for n, i in names.items() if i == NOT_RECORDED or i in unwanted]:
                del names[name]

    def instruments(self, cursor: CursorWrapper, wanted: Mapping[str, str]) -> Mapping[str, int]:
        """The numbers by name; those that may not be made now are missing.

        Args:
            wanted: facilities by names of instruments.
        """
        unknown = wanted.keys() - self._instruments.keys()
        if unknown:
            self._find_instruments(cursor, unknown)
            allowed = self._allowed(sorted(unknown - self._instruments.keys()))
            if allowed:
                facilities = [wanted[name] for name in allowed]
                new = {"names": allowed, "facilities": facilities}
                cursor.execute(INGEST["new_instruments"], new)
                self._find_instruments(cursor, allowed)
        return self._instruments

    def _find_instruments(self, cursor: CursorWrapper, names: Iterable[str]) -> None:
        cursor.execute(INGEST["instruments"], {"names": list(names)})
        self._instruments.update(cursor.fetchall())

    def _allowed(self, new: Sequence[str]) -> list[str]:
        now = self._clock()
        self._made_at = [at for at in self._made_at if now - at < 3600]
        allowed = list(new[: max(0, self._most_new_instruments - len(self._made_at))])
        self._made_at += [now] * len(allowed)
        return allowed

    def known(self, instrument: int, kind: Kind) -> Names:
        """The numbers of an instrument's series by name, as far as they were asked for."""
        return self._series.setdefault((instrument, kind), {})

    def learn(self, cursor: CursorWrapper, wanted: Collection[SeriesKey]) -> None:
        """Find or make these; those that may not be made are missing from `known` afterwards."""
        if not wanted:
            return
        self._find_series(cursor, wanted)
        missing = [key for key in wanted if key.name not in self.known(key.instrument, key.kind)]
        new = self._within_limits(cursor, missing)
        if new:
            cursor.execute(INGEST["new_series"], _columns(new))
            self._find_series(cursor, new)

    def _find_series(self, cursor: CursorWrapper, wanted: Collection[SeriesKey]) -> None:
        cursor.execute(INGEST["series"], _columns(wanted))
        for instrument, kind, name, number, is_recorded in cursor.fetchall():
            names = self.known(instrument, Kind(kind))
            names[name] = number if is_recorded else NOT_RECORDED

    def _within_limits(
        self, cursor: CursorWrapper, missing: Sequence[SeriesKey]
    ) -> list[SeriesKey]:
        status_values = {key.instrument for key in missing if key.kind is Kind.STATUS_VALUE}
        if not status_values:
            return list(missing)
        cursor.execute(INGEST["status_value_counts"], {"instruments": list(status_values)})
        counts: dict[int, int] = dict(cursor.fetchall())
        allowed: list[SeriesKey] = []
        for key in missing:
            if key.kind is Kind.STATUS_VALUE:
                counts[key.instrument] = counts.get(key.instrument, 0) + 1
                if counts[key.instrument] > self._most_status_values:
                    continue
            allowed.append(key)
        return allowed


def _columns(keys: Collection[SeriesKey]) -> dict[str, list[object]]:
    return {
        "instruments": [key.instrument for key in keys],
        "kinds": [int(key.kind) for key in keys],
        "names": [key.name for key in keys],
    }
