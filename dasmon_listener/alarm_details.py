"""Reads of alarms for people: one alarm with all that belongs to it, the rules."""

from django.db.models import Count, Max, Q, QuerySet

from dasmon_listener.domain.silence import silence_of
from dasmon_listener.models import (
    Alarm,
    AlarmRule,
    AlarmSetting,
    Component,
    MonitoredPv,
    Notification,
)
from workflow_manager.models import Instrument


def alarm_numbered(number: int) -> Alarm | None:
    return _with_names().filter(id=number).first()


def alarms_numbered(numbers: list[int]) -> list[Alarm]:
    """Those of them that there are, by instrument.

    Who changes them one after the other takes the locks of instruments in the order in which
    everybody does, and waits for nobody who waits for them.
    """
    return list(_with_names().filter(id__in=numbers).order_by("instrument_id", "id"))


def alarm_setting(instrument: Instrument, name: str) -> AlarmSetting | None:
    """What people decided about the alarms of this name."""
    return (
        AlarmSetting.objects.select_related("shelved_by")
        .filter(instrument=instrument, name=name)
        .first()
    )


def former_occurrences(alarm: Alarm, limit: int) -> list[Alarm]:
    """Alarms of the same name before this one, newest first."""
    return list(
        _with_names()
        .filter(instrument=alarm.instrument, name=alarm.name, raised_at__lt=alarm.raised_at)
        .order_by("-raised_at", "-id")[:limit]
    )


def notifications_of(alarm: Alarm) -> list[Notification]:
    """Whom it was told, oldest first, each with the attempts to deliver it."""
    return list(
        alarm.notifications.select_related("recipient__owner")
        .prefetch_related("deliveries")
        .order_by("created_at", "id")
    )


def tied_pv(alarm: Alarm) -> str:
    """The monitored PV that goes with a signal of this name; empty if there is none."""
    found = MonitoredPv.objects.filter(instrument=alarm.instrument, rule_name=alarm.name)
    return found.values_list("name", flat=True).first() or ""


def silent_component(alarm: Alarm) -> Component | None:
    """The component that an alarm about silence means."""
    if alarm.origin != Alarm.Origin.SILENCE:
        return None
    components = Component.objects.filter(instrument=alarm.instrument)
    return next((each for each in components if silence_of(each.name) == alarm.name), None)


def alarm_rules() -> list[AlarmRule]:
    """All rules, by instrument; each has `fired_at`, when it last raised an alarm, and `open`."""
    return list(
        AlarmRule.objects.select_related("instrument", "created_by")
        .annotate(
            fired_at=Max("alarms__raised_at"),
            open=Count("alarms", filter=Q(alarms__closed_at=None)),
        )
        .order_by("instrument__name", "name", "id")
    )


def alarm_rule(number: int) -> AlarmRule | None:
    return AlarmRule.objects.select_related("instrument", "created_by").filter(id=number).first()


def _with_names() -> QuerySet[Alarm]:
    return Alarm.objects.select_related("instrument", "acknowledged_by", "rule")
