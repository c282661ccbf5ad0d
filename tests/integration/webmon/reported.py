"""Values, alarms and signs of life as the listener would have written them."""

import datetime as dt
import math

from django.utils import timezone

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Alarm, AlarmSetting, Component, Latest, MonitoredPv, Series
from workflow_manager.models import Instrument


def before(seconds: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(seconds=seconds)


def instrument(name: str = "arcs", facility: str = "SNS") -> Instrument:
    return Instrument.objects.get_or_create(name=name, defaults={"facility": facility})[0]


def report(
    of: Instrument,
    name: str,
    shown: str,
    *,
    kind: Kind = Kind.STATUS_VALUE,
    ago: float = 1.0,
    unit: str = "",
    status: int | None = None,
) -> Series:
    """The newest value under a name, as text or number, `ago` seconds before now."""
    series, _ = Series.objects.get_or_create(
        instrument=of, name=name, kind=kind.value, defaults={"unit": unit}
    )
    value = _number(shown)
    is_canonical = value is not None and f"{value:.15g}" == shown
    Latest.objects.update_or_create(
        series=series,
        defaults={
            "at": before(ago),
            "received_at": before(ago),
            "value": value,
            "text": None if is_canonical else shown,
            "status": status,
        },
    )
    return series


def choose(of: Instrument, *names: str) -> None:
    MonitoredPv.objects.bulk_create(
        MonitoredPv(instrument=of, name=name, position=place) for place, name in enumerate(names)
    )


def raise_alarm(
    of: Instrument, name: str, *, level: Level = Level.ERROR, message: str = "", guidance: str = ""
) -> Alarm:
    if guidance:
        AlarmSetting.objects.create(instrument=of, name=name, guidance=guidance)
    return Alarm.objects.create(
        instrument=of,
        name=name,
        origin=Alarm.Origin.SIGNAL,
        level=level.value,
        message=message,
        raised_at=before(60),
        repeated_at=before(60),
    )


def hear(of: Instrument, component: str, *, status: str = "0", ago: float = 1.0) -> Component:
    return Component.objects.create(
        instrument=of,
        name=component,
        status=status,
        heard_at=before(ago),
        period=dt.timedelta(seconds=5),
    )


def _number(shown: str) -> float | None:
    try:
        value = float(shown)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
