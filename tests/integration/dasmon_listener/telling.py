"""Alarms and recipients as their owners would have written them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from dasmon_listener.domain.levels import Level
from dasmon_listener.models import Alarm, AlarmEvent, AlarmSetting, Notification, Recipient
from workflow_manager.models import Instrument

NOW = datetime(2026, 11, 19, 15, tzinfo=UTC)  # 10:00 in Oak Ridge
NIGHT = datetime(2026, 11, 19, 8, tzinfo=UTC)  # 03:00 there
MORNING = datetime(2026, 11, 19, 12, tzinfo=UTC)  # 07:00 there
MINUTE = timedelta(minutes=1)


def person(name: str = "ada", **changes: Any) -> User:
    return User.objects.get_or_create(username=name, defaults=changes)[0]


def instrument(name: str = "arcs") -> Instrument:
    return Instrument.objects.get_or_create(name=name, defaults={"facility": "SNS"})[0]


def alarm(
    name: str = "chopper 1", *, on: str = "arcs", level: Level = Level.ERROR, at: datetime = NOW
) -> Alarm:
    made = Alarm.objects.create(
        instrument=instrument(on),
        name=name,
        origin=Alarm.Origin.SIGNAL,
        level=level,
        source="SNS_DASMON",
        message="Chopper 1 is out of phase",
        raised_at=at,
        repeated_at=at,
    )
    AlarmEvent.objects.create(alarm=made, at=at, what=AlarmEvent.What.RAISED)
    return made


def recipient(*only: str, owner: str = "ada", **changes: Any) -> Recipient:
    values = {"way": Recipient.Way.EMAIL, "address": f"{owner}@example.org"} | changes
    made = Recipient.objects.create(owner=person(owner), **values)
    made.instruments.set([instrument(name) for name in only])
    return made


def shelve(of: Alarm, until: datetime) -> None:
    AlarmSetting.objects.update_or_create(
        instrument=of.instrument, name=of.name, defaults={"shelved_until": until}
    )


def told(cause: Notification.Cause | None = None) -> list[tuple[str, str]]:
    """Whom of what, in order."""
    rows = Notification.objects.order_by("id")
    if cause is not None:
        rows = rows.filter(cause=cause)
    return list(rows.values_list("recipient__owner__username", "cause"))
