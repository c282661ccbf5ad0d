"""How the listener is that writes what instruments report: on the system page, and on its own."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dasmon_listener import health, losses, overview
from dasmon_listener.health import DiskForecast, ListenerProcessHealth
from dasmon_listener.models import Gap, UnreadMessage
from dasmon_listener.overview import Silence
from webmon.runs.verdict import Tone
from webmon.system.odd_bytes import visible
from webmon.ui import durations, numbers
from workflow_manager.domain.liveness import Liveness, liveness

# A listener tells of itself each second.
LISTENER_LATE = dt.timedelta(seconds=5)
LAG_LIMIT = dt.timedelta(seconds=5)
SHOWN_BYTES = 16 * 1024
ROWS = 100
DAY = dt.timedelta(days=1)
_START = "start manage.py run_dasmon_listener"


@dataclass(frozen=True, slots=True)
class ListenerLine:
    """A listener as it last told; the one that is active writes, others stand by."""

    process: ListenerProcessHealth
    liveness: Liveness


@dataclass(frozen=True, slots=True)
class GapLine:
    """A time of which values are missing: of an instrument, or of all where it is empty."""

    instrument: str
    began_at: dt.datetime
    lasted: dt.timedelta
    lost: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class UnreadLine:
    """Messages unread for one reason; `body` is of the newest, odd bytes escaped."""

    destination: str
    reason: str
    times: int
    last_at: dt.datetime
    body: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ListenerPage:
    """Newest first where it matters; `gaps` are those of the last day, `disk` sentences."""

    tone: Tone
    sentence: str
    processes: tuple[ListenerLine, ...]
    expected_every: dt.timedelta
    silences: tuple[Silence, ...]
    gaps: tuple[GapLine, ...]
    unread: tuple[UnreadLine, ...]
    disk: tuple[str, ...]
    read_at: dt.datetime


def listener_page(now: dt.datetime) -> ListenerPage:
    lines = listener_lines()
    problem = listener_cause(lines)
    silences = overview.silent_components(now)
    return ListenerPage(
        tone=Tone.BAD if problem else Tone.GOOD,
        sentence=problem or _well(lines),
        processes=lines,
        expected_every=LISTENER_LATE,
        silences=tuple(silences),
        gaps=tuple(map(_gap_line, losses.newest_gaps(now - DAY, ROWS))),
        unread=tuple(map(_unread_line, losses.unread_messages(ROWS))),
        disk=tuple(disk_sentences(health.disk_forecast())),
        read_at=now,
    )


def listener_lines() -> tuple[ListenerLine, ...]:
    """The listeners of the last day, the active one first."""
    return tuple(
        ListenerLine(each, liveness(dt.timedelta(seconds=each.age), LISTENER_LATE))
        for each in health.listener_health().processes
    )


def listener_cause(lines: Sequence[ListenerLine]) -> str:
    """What is wrong with the listeners, as a sentence; empty if nothing is."""
    if not lines:
        return f"No DASMON listener was heard in the last day: {_START}."
    alive = [line.process for line in lines if line.liveness is Liveness.OK]
    if not alive:
        return f"No DASMON listener runs, and what instruments report now is lost: {_START}."
    active = next((process for process in alive if process.is_active), None)
    if active is None:
        return "DASMON listeners stand by and none writes: one takes over within seconds, or hangs."
    if not active.is_connected:
        return "The DASMON listener does not reach the broker: values and alarms do not arrive."
    if active.lag is not None and active.lag > LAG_LIMIT:
        behind = durations.words(active.lag)
        return f"The DASMON listener is {behind} behind: what pages show of instruments is so old."
    return ""


def disk_sentences(forecast: DiskForecast) -> Iterator[str]:
    """How much the history takes, what a day adds, and how long that can go on."""
    yield (
        f"The history of values takes {numbers.size(forecast.bytes)}, "
        f"and a day adds {numbers.size(forecast.bytes_per_day)}. "
        f"In a year it takes {numbers.size(forecast.bytes_after(365))}."
    )
    if forecast.free_bytes is None:
        yield "How much of the database's disk is free cannot be seen from here."
        return
    free = f"{numbers.size(forecast.free_bytes)} of the disk are free"
    days = forecast.days_until_full
    yield f"{free}." if days is None else f"{free}: enough for {_days(days)} at this rate."


def _days(days: float) -> str:
    return f"{days:,.0f} days" if days < 1000 else f"{days / 365:,.0f} years"


def _well(lines: Sequence[ListenerLine]) -> str:
    rate = next(line.process.values_per_second for line in lines if line.process.is_active)
    return f"The DASMON listener writes; {numbers.words(rate, digits=3)} values/s since it started."


def _gap_line(gap: Gap) -> GapLine:
    name = gap.instrument.name if gap.instrument else ""
    return GapLine(name, gap.began_at, gap.ended_at - gap.began_at, gap.lost, gap.reason)


def _unread_line(message: UnreadMessage) -> UnreadLine:
    body = bytes(message.body)
    return UnreadLine(
        destination=message.destination,
        reason=message.reason,
        times=message.times,
        last_at=message.last_at,
        body=visible(body[:SHOWN_BYTES]),
        is_cut=len(body) > SHOWN_BYTES,
    )
