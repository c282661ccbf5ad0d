"""Pages about alarms: what needs somebody, what is handled, who may answer."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener import alarms
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.models import (
    Alarm,
    AlarmSetting,
    DeliveryAttempt,
    Notification,
    Recipient,
)
from tests.integration.webmon import rows
from workflow_manager.models import Instrument

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def raise_alarm(
    name: str = "SID_SVP_HIGH",
    *,
    instrument: str = "arcs",
    level: Level = Level.ERROR,
    message: str = "SV pressure too high",
    ago: float = 60,
) -> Alarm:
    """As a signal of DASMON raises it."""
    Instrument.objects.get_or_create(name=instrument, defaults={"facility": "SNS"})
    at = timezone.now() - dt.timedelta(seconds=ago)
    with transaction.atomic():
        alarms.receive([SignalReport(instrument, name, level, "DAS", message, at)], at)
    return Alarm.objects.get(instrument__name=instrument, name=name, closed_at=None)


def names(found: Any) -> list[str]:
    return [row["name"] for row in found]


def said(client: Client, response: Any) -> str:
    """What the page says to which a change leads."""
    assert response.status_code == 302, response.content.decode()
    return page(client, response["Location"])


def member_of_arcs(tmp_path: Path) -> User:
    member = rows.account("user", tmp_path)
    member.groups.add(Group.objects.get_or_create(name="ARCSInstrumentTeam")[0])
    return member


def test_what_needs_somebody_is_worst_and_newest_first(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    raise_alarm("old", ago=90)
    raise_alarm("fatal", level=Level.FATAL, instrument="cncs", ago=500)
    raise_alarm("new", ago=10)
    raise_alarm("only to know", level=Level.INFO)
    seen = raise_alarm("seen")
    alarms.acknowledge(seen, User.objects.get(), "I look")
    with django_assert_max_num_queries(12):
        text = page(admin, "/alarms/")
    assert "<title>(3) Alarms" in text
    shown = value(admin, "/alarms/")
    assert names(shown["needing"]) == ["fatal", "new", "old"]
    assert names(shown["handled"]) == ["seen", "only to know"]
    assert [(each["instrument"], each["needing"], each["level"]) for each in shown["roll_up"]] == [
        ("arcs", 2, "error"),
        ("cncs", 1, "fatal"),
    ]
    assert "I look" in text and "SV pressure too high" in text
    assert re.search(r'id="alarm-count" class="badge" data-level="fatal"><span>3<', text)


def test_many_alarms_cost_no_more_statements(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        raise_alarm(f"SID_{number}", instrument=f"inst{number % 5}")
    with django_assert_max_num_queries(8):
        page(admin, "/alarms/")


def test_the_address_filters(user: Client) -> None:
    raise_alarm("A")
    raise_alarm("B", instrument="cncs", level=Level.WARNING)
    assert names(value(user, "/alarms/?instrument=CNCS")["needing"]) == ["B"]
    assert names(value(user, "/alarms/?level=error")["needing"]) == ["A"]
    assert names(value(user, "/alarms/?origin=rule")["needing"]) == []
    assert len(value(user, "/alarms/?origin=nonsense&level=loud")["needing"]) == 2
    text = page(user, "/alarms/?instrument=cncs")
    assert 'data-keys="alarm cncs"' in text and "<title>(1) Alarms" in text
    assert "Show all" in page(user, "/alarms/?instrument=nowhere")
