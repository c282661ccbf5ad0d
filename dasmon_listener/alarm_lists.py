"""What pages show of alarms: one statement each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from dasmon_listener.domain.levels import WORTH_TELLING, Level
from dasmon_listener.models import Alarm, AlarmEvent, AlarmSetting
from dasmon_listener.sql import ALARMS
from workflow_manager.models import Instrument


@dataclass(frozen=True, slots=True)
class ShownAlarm:
    """An open alarm with what people decided about its name.

    The shelf is empty unless it holds now.
    """

    alarm: Alarm
    guidance: str
    shelved_until: datetime | None
    shelved_by: str
    shelved_because: str

    @property
    def is_shelved(self) -> bool:
        return self.shelved_until is not None

    @property
    def needs_somebody(self) -> bool:
        """Nobody acknowledged it, and it is not shelved."""
        return self.alarm.acknowledged_at is None and not self.is_shelved


@dataclass(frozen=True, slots=True)
class RollUp:
    """Open alarms of an instrument from warnings on, without those that are shelved."""

    count: int
    unacknowledged: int
    highest: Level


def open_alarms(instrument: Instrument | None = None) -> list[ShownAlarm]:
    """All that is open, of all instruments without one: the worst first, then the newest."""
    found = _with_settings(Alarm.objects.filter(closed_at=None))
    if instrument is not None:
        found = found.filter(instrument=instrument)
    return [_shown(alarm) for alarm in found.order_by("-level", "-raised_at", "-id")]


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


def _with_settings(alarms: QuerySet[Alarm]) -> QuerySet[Alarm]:
    setting = AlarmSetting.objects.filter(instrument=OuterRef("instrument"), name=OuterRef("name"))
    shelf = setting.filter(shelved_until__gt=Now())
    return alarms.select_related("instrument", "acknowledged_by", "rule").annotate(
        guidance=Subquery(setting.values("guidance")),
        shelved_until=Subquery(shelf.values("shelved_until")),
        shelved_by=Subquery(shelf.values("shelved_by__username")),
        shelved_because=Subquery(shelf.values("shelved_because")),
    )


def _shown(alarm: Any) -> ShownAlarm:
    return ShownAlarm(
        alarm=alarm,
        guidance=alarm.guidance or "",
        shelved_until=alarm.shelved_until,
        shelved_by=alarm.shelved_by or "",
        shelved_because=alarm.shelved_because or "",
    )
