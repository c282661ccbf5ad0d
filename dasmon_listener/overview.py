"""What the data acquisition says of instruments, at a glance: one statement each."""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from dasmon_listener.domain.recording import Recording, recording_state, run_now
from dasmon_listener.domain.silence import SHORTEST_LIMIT, SignsOfLife
from dasmon_listener.sql import OVERVIEW
from workflow_manager.models import Instrument

# Data acquisition sends its numbers each few seconds; by then three are missing.
VALUES_EVERY = dt.timedelta(seconds=15)
MOST_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Overview:
    """An instrument now; `run_number` is a text as it came, empty if none did.

    `heard_at` is when any of this was last received, None if it never was.
    """

    instrument: str
    facility: str
    is_alive: bool
    is_adara: bool
    recording: Recording
    run_number: str
    count_rate: float | None
    count_rate_at: dt.datetime | None
    heard_at: dt.datetime | None

    @property
    def is_heard(self) -> bool:
        """Whether it says anything, and is believed."""
        return self.is_adara and self.heard_at is not None


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a component, which it repeats each `period`; status 0 is good."""

    name: str
    status: str
    pid: str
    heard_at: dt.datetime
    period: dt.timedelta
    is_expected: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """A component of an instrument that is not heard, with its last sign."""

    instrument: str
    sign: Sign

    def is_normal(self, now: dt.datetime) -> bool:
        return SignsOfLife(self.sign.name, self.sign.heard_at, self.sign.period).is_heard(now)


@dataclass(frozen=True, slots=True)
class Equipped:
    """An instrument with its equipment and components.

    `is_recording_known` is whether any instrument ever told if it records.
    """

    instrument: Instrument
    is_alive: bool
    is_adara: bool
    has_pvsd: bool
    has_pvstreamer: bool
    is_recording_known: bool
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a series; None where it was no number."""

    at: dt.datetime
    value: float | None


def overview() -> dict[int, Overview]:
    """All instruments, by the id of the instrument, in the order of their names."""
    return {row[0]: _overview(row[1:]) for row in _rows("overview")}


def equipped_instrument(name: str) -> Equipped | None:
    """The instrument of that name, in any case."""
    rows = _rows("equipped", name=name.lower())
    if not rows:
        return None
    instrument = Instrument(**dict(zip(("id", "name", "facility"), rows[0], strict=False)))
    signs = tuple(Sign(*row[8:]) for row in rows if row[8] is not None)
    equipment: list[Any] = [*rows[0][3:8], signs]
    return Equipped(instrument, *equipment)


def silent_components(now: dt.datetime) -> list[Silence]:
    """Those that are silent for too long, by the rule of the alarms, the longest first."""
    unheard = _rows("unheard", now=now, least=SHORTEST_LIMIT)
    found = [Silence(instrument, Sign(*row)) for instrument, *row in unheard]
    return [each for each in found if not each.is_normal(now)]


def newest_samples(
    instrument: Instrument, names: Sequence[str], since: dt.datetime
) -> dict[str, list[Sample]]:
    """Samples of status values since a moment, newest first, at most `MOST_SAMPLES` of each.

    Where there are none the newest 20. Names without any sample are left out.
    """
    rows = _rows(
        "newest_samples",
        instrument=instrument.pk,
        names=list(names),
        since=since,
        most=MOST_SAMPLES,
    )
    groups = itertools.groupby(rows, key=lambda row: str(row[0]))
    return {name: [Sample(at, value) for _, at, value in group] for name, group in groups}


def _overview(row: Sequence[Any]) -> Overview:
    name, facility, is_alive, is_adara, is_known, recording, paused, run_number, *rest = row
    state = recording_state(recording, paused, is_adara=is_adara, is_known=is_known)
    return Overview(name, facility, is_alive, is_adara, state, run_now(run_number), *rest)


def _rows(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(OVERVIEW[statement], parameters)
        return list(cursor.fetchall())
