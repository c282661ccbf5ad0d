"""What pages show of alarms: one statement each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from dasmon_listener.domain.levels import WORTH_TELLING, Level
from dasmon_listener.models import Alarm, AlarmEvent, AlarmSetting
from dasmon_listener.sql import ALARMS
from workflow_manager.models import Instrument


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which open alarms: of one instrument by its name, from the word of a level on, one origin."""

    instrument: str = ""
    level: str = ""
    origin: str = ""

    @property
    def minimum(self) -> Level:
        return Level[self.level.upper()] if self.level else Level.TRACE

    def finds(self, some: "OpenAlarms") -> bool:
        return (
            self.instrument in {"", some.instrument}
            and self.origin in {"", some.origin}
            and some.level >= self.minimum
        )


@dataclass(frozen=True, slots=True)
class ShownAlarm:
    """An open alarm with what people decided about its name.

    It `needs_somebody` if it is worth telling, nobody acknowledged it, and it is on no shelf. The
    shelf is empty unless it holds now.
    """

    alarm: Alarm
    needs_somebody: bool
    guidance: str
    shelved_until: datetime | None
    shelved_by: str
    shelved_because: str


@dataclass(frozen=True, slots=True)
class OpenAlarms:
    """How many open alarms of an instrument are alike."""

    instrument: str
    origin: str
    level: Level
    needs_somebody: bool
    count: int


@dataclass(frozen=True, slots=True)
class Needing:
    """How many alarms wait for somebody, and how bad the worst of them is."""

    count: int
    highest: Level | None


@dataclass(frozen=True, slots=True)
class RollUp:
    """Open alarms of an instrument from warnings on, without those that are shelved."""

    count: int
    unacknowledged: int
    highest: Level


_EVERYTHING = AlarmFilter()


def open_alarms(
    wanted: AlarmFilter = _EVERYTHING,
    *,
    needs_somebody: bool | None = None,
    limit: int | None = None,
) -> list[ShownAlarm]:
    """What is open: what needs somebody first, then the worst, then the newest.

    Args:
        needs_somebody: only those that do, or only those that do not.
        limit: a storm has ten thousand, and nobody reads so many.
    """
    found = _with_settings(_open()).filter(level__gte=wanted.minimum.value)
    if wanted.instrument:
        found = found.filter(instrument__name=wanted.instrument)
    if wanted.origin:
        found = found.filter(origin=wanted.origin)
    if needs_somebody is not None:
        found = found.filter(needs_somebody=needs_somebody)
    found = found.order_by("-needs_somebody", "-level", "-raised_at", "-id")
    return [_shown(alarm) for alarm in found[:limit]]


def open_counts() -> list[OpenAlarms]:
    """All that is open, counted, by instrument."""
    kinds = ("instrument__name", "origin", "level", "needs_somebody")
    found = _open().values_list(*kinds).annotate(count=Count("id")).order_by("instrument__name")
    return [
        OpenAlarms(instrument, origin, Level(level), needs_somebody, count)
        for instrument, origin, level, needs_somebody, count in found
    ]


def count_open(wanted: AlarmFilter) -> int:
    return sum(each.count for each in open_counts() if wanted.finds(each))


def idle_shelves(instrument: str = "") -> list[AlarmSetting]:
    """What is on a shelf now and has no open alarm; what comes back first is first."""
    raised = Alarm.objects.filter(
        instrument=OuterRef("instrument"), name=OuterRef("name"), closed_at=None
    )
    found = AlarmSetting.objects.select_related("instrument", "shelved_by").filter(
        ~Exists(raised), shelved_until__gt=Now()
    )
    if instrument:
        found = found.filter(instrument__name=instrument)
    return list(found.order_by("shelved_until", "id"))


def needing() -> Needing:
    """Of all instruments."""
    found = _open().filter(needs_somebody=True).aggregate(count=Count("id"), highest=Max("level"))
    highest = found["highest"]
    return Needing(found["count"], None if highest is None else Level(highest))


def alarm_history(
    instrument: Instrument | None, older_than: Alarm | None, limit: int
) -> list[Alarm]:
    """Alarms, open and closed, newest first; the next page is older than the last one's alarm."""
    found = Alarm.objects.select_related("instrument", "acknowledged_by", "rule")
    if instrument is not None:
        found = found.filter(instrument=instrument)
    if older_than is not None:
        at, number = older_than.raised_at, older_than.id
        found = found.filter(raised_at__lte=at).filter(Q(raised_at__lt=at) | Q(id__lt=number))
    return list(found.order_by("-raised_at", "-id")[:limit])


def events_of(alarm: Alarm) -> list[AlarmEvent]:
    """What happened to an alarm, from the beginning."""
    return list(alarm.events.select_related("by").order_by("id"))


def roll_up() -> dict[int, RollUp]:
    """By instrument's number, for those that have open alarms that count."""
    with connection.cursor() as cursor:
        cursor.execute(ALARMS["roll_up"], {"worth_telling": WORTH_TELLING.value})
        return {
            instrument_id: RollUp(count, unacknowledged, Level(highest))
            for instrument_id, count, unacknowledged, highest in cursor.fetchall()
        }


def _setting() -> QuerySet[AlarmSetting]:
    return AlarmSetting.objects.filter(instrument=OuterRef("instrument"), name=OuterRef("name"))


def _open() -> QuerySet[Any]:
    is_on_shelf = Exists(_setting().filter(shelved_until__gt=Now()))
    return Alarm.objects.filter(closed_at=None).annotate(
        needs_somebody=Q(acknowledged_at=None, level__gte=WORTH_TELLING.value) & ~is_on_shelf
    )


def _with_settings(alarms: QuerySet[Any]) -> QuerySet[Any]:
    setting = _setting()
    shelf = setting.filter(shelved_until__gt=Now())
    found: QuerySet[Any] = alarms.select_related("instrument", "acknowledged_by", "rule").annotate(
        guidance=Subquery(setting.values("guidance")),
        shelved_until=Subquery(shelf.values("shelved_until")),
        shelved_by=Subquery(shelf.values("shelved_by__username")),
        shelved_because=Subquery(shelf.values("shelved_because")),
    )
    return found


def _shown(alarm: Any) -> ShownAlarm:
    return ShownAlarm(
        alarm=alarm,
        needs_somebody=alarm.needs_somebody,
        guidance=alarm.guidance or "",
        shelved_until=alarm.shelved_until,
        shelved_by=alarm.shelved_by or "",
        shelved_because=alarm.shelved_because or "",
    )
