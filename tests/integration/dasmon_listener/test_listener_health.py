"""The health of the listener and the forecast of the disk, from what is in PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from dasmon_listener.health import disk_forecast, listener_health
from dasmon_listener.models import Gap, ListenerProcess, UnreadMessage
from dasmon_listener.partitions import Day
from tests.integration.dasmon_listener.history import forget_all, series
from workflow_manager.models import Instrument

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_samples(db: None) -> Iterator[None]:
    forget_all()
    yield
    forget_all()


def test_the_active_listener_comes_first_with_what_was_lost_today() -> None:
    now = timezone.now()
    usual = {"started_at": now - timedelta(seconds=100), "alive_at": now, "is_connected": True}
    ListenerProcess.objects.create(name="b", is_active=False, **usual)
    ListenerProcess.objects.create(name="c", is_active=True, values=5000, shed=7, **usual)
    long_ago = now - timedelta(days=2)
    ListenerProcess.objects.create(name="a", is_active=True, **usual | {"alive_at": long_ago})
    minute = timedelta(minutes=1)
    for ended_at, lost in ((now, 40), (now, None), (long_ago, 1)):
        Gap.objects.create(began_at=ended_at - minute, ended_at=ended_at, lost=lost, reason="dead")
    UnreadMessage.objects.create(destination="/topic/X", reason="no JSON", times=3, body=b"{")
    found = listener_health()
    assert [each.name for each in found.processes] == ["c", "b"]
    assert found.active is found.processes[0]
    assert found.active.values_per_second == pytest.approx(50)
    assert (found.unread, found.gaps, found.lost) == (3, 2, 40)
    assert found.gap_length == 2 * minute


def test_the_forecast_follows_the_fullest_of_the_last_days(settings: Settings) -> None:
    settings.DASMON_RAW_DAYS = 3
    yesterday = Day.of(timezone.now()).after(-1)
    key = series(Instrument.objects.create(name="arcs"), "PV")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dasmon_sample (at, value, series_id)"
            " SELECT %s + n * interval '1 s', n, %s FROM generate_series(1, 20000) AS n",
            [yesterday.begin, key],
        )
        cursor.execute(f"SELECT pg_total_relation_size('{yesterday.partition.name}')")
        (size,) = cursor.fetchone()
    with CaptureQueriesContext(connection) as queries:
        found = disk_forecast()
    assert len(queries) <= 2
    assert found.samples.bytes_per_day == size
    assert found.samples.days == 2, "one of three days is there"
    assert found.bytes >= size
    assert found.days_until(found.bytes + size) == pytest.approx(1, rel=0.1)
    assert found.free_bytes is None or found.free_bytes > 0
