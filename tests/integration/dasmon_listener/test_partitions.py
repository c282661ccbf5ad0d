"""Days and months: made ahead, filled from the default partition, dropped, never in the way."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dasmon_listener import housekeeping, partitions, rollups
from dasmon_listener.models import Latest, MonitoredPv, Series
from dasmon_listener.partitions import Day, Partition, day_partitions, month_partitions
from tests.integration.dasmon_listener.history import (
    DAY,
    HOUR,
    MINUTE,
    Sample,
    ask,
    assert_same,
    combined,
    floor,
    forget_all,
    minutes_of,
    series,
    stored,
    write,
)
from workflow_manager.event_partitions import Month
from workflow_manager.models import Instrument

NOW = floor(datetime.now(UTC), MINUTE)
TODAY = Day.of(NOW)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _usual_partitions() -> Iterator[None]:
    """Each test begins and ends with those that a migration makes and no sample."""
    forget_all()
    yield
    forget_all()
    usual = {TODAY.after(days).partition.name for days in range(-1, 8)}
    with connection.cursor() as cursor:
        for day in day_partitions():
            if day.name not in usual:
                cursor.execute(f"DROP TABLE {day.name}")
    partitions.provide(TODAY.after(days).partition for days in range(-1, 8))


@pytest.fixture
def key() -> int:
    return series(Instrument.objects.create(name="arcs"), "PV")


def where(key: int) -> list[str]:
    return [
        name
        for (name,) in ask(
            "SELECT tableoid::regclass::text FROM dasmon_sample WHERE series_id = %s ORDER BY at",
            [key],
        )
    ]


def outside() -> psycopg.Connection[tuple[object, ...]]:
    """Somebody else's connection."""
    return psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None})


def a_day(key: int, day: Day, count: int = 50) -> list[Sample]:
    step = DAY / count
    return [Sample(day.begin + n * step, day.begin + n * step, float(n), key) for n in range(count)]


def test_days_and_months_are_made_ahead_and_nothing_is_locked_if_none_is_missing() -> None:
    partitions.tend(NOW)
    assert TODAY.after(7).partition in day_partitions()
    assert TODAY.after(7).partition.end == TODAY.after(8).begin
    assert len([month for month in month_partitions() if month.end > NOW]) >= 3
    with CaptureQueriesContext(connection) as queries:
        partitions.tend(NOW)
    assert not any("LOCK TABLE" in query["sql"] for query in queries)


def test_what_waits_without_a_day_gets_one_if_it_is_kept(key: int) -> None:
    late, gone = TODAY.after(-5), TODAY.after(-20)
    for day in (late, gone):
        write([Sample(day.begin + HOUR, NOW - HOUR, 1.0, key)])
    assert where(key) == ["dasmon_sample_default"] * 2
    rollups.roll_up(NOW)
    partitions.tend(NOW)
    assert where(key) == [late.partition.name]
    assert [at for _, at in stored("dasmon_minute")] == [late.begin + HOUR]


def test_what_came_late_is_not_deleted_before_it_is_rolled_up(key: int) -> None:
    write([Sample(NOW - 20 * DAY, NOW, 1.0, key)])
    partitions.tend(NOW)
    assert where(key) == ["dasmon_sample_default"]


def test_a_day_is_dropped_as_a_whole_after_its_rollups_are_complete(
    key: int, settings: Settings
) -> None:
    settings.DASMON_RAW_DAYS = 3
    days = [TODAY.after(-age) for age in (3, 4, 5)]
    partitions.provide(day.partition for day in days)
    samples = [sample for day in days for sample in a_day(key, day)]
    write(samples)
    rollups.roll_up(NOW)
    # As if a bug had kept the rollups of the oldest from being written.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM dasmon_minute WHERE at < %s", [days[1].begin])
        cursor.execute("DELETE FROM dasmon_hour WHERE at < %s", [days[1].begin])
    partitions.tend(NOW)
    assert set(where(key)) == {days[0].partition.name}
    minutes = minutes_of(samples, NOW)
    assert_same(stored("dasmon_minute"), minutes)
    assert_same(stored("dasmon_hour"), combined(minutes, HOUR, NOW))


def test_what_came_while_no_listener_ran_for_long_is_rolled_up_before_it_goes(
    key: int, settings: Settings
) -> None:
    """Programs write through the functions in the database, whoever listens."""
    settings.DASMON_RAW_DAYS = 3
    rollups.roll_up(NOW - 20 * DAY)
    with_partition, without = TODAY.after(-10), TODAY.after(-8)
    partitions.provide([with_partition.partition])
    samples = [*a_day(key, with_partition), *a_day(key, without)]
    write(samples)
    partitions.tend(NOW)
    rollups.roll_up(NOW)
    partitions.tend(NOW)
    assert where(key) == []
    minutes = minutes_of(samples, NOW)
    assert_same(stored("dasmon_minute"), minutes)
    assert_same(stored("dasmon_hour"), combined(minutes, HOUR, NOW))


def test_minutes_of_days_that_are_gone_stay_although_an_older_day_has_a_late_sample(
    key: int, settings: Settings
) -> None:
    """As when samples are kept for longer from now on, and a sender's clock was wrong."""
    settings.DASMON_RAW_DAYS = 3
    gone, older = TODAY.after(-5), TODAY.after(-8)
    write(a_day(key, gone))
    partitions.provide([gone.partition])
    rollups.roll_up(NOW - HOUR)
    partitions.tend(NOW)
    settings.DASMON_RAW_DAYS = 10
    minutes = stored("dasmon_minute")
    assert where(key) == []
    write([Sample(older.begin, NOW, 1.0, key)])
    partitions.tend(NOW)
    call_command("rebuild_rollups", "--from", f"{older.begin:%Y-%m-%d}", "--to", f"{NOW:%Y-%m-%d}")
    assert {
        each: row for each, row in stored("dasmon_minute").items() if each in minutes
    } == minutes


def test_a_reader_in_the_way_stops_the_drop_and_no_writer(key: int, settings: Settings) -> None:
    settings.DASMON_RAW_DAYS = 3
    old = TODAY.after(-5)
    partitions.provide([old.partition])
    write(a_day(key, old))
    rollups.roll_up(NOW)
    with outside() as reader, outside() as writer:
        reader.execute("SELECT count(*) FROM dasmon_sample").fetchone()
        outcomes: list[Exception] = []
        tending = threading.Thread(target=_tend, args=[outcomes])
        tending.start()
        _await_a_waiting_lock()
        # The writer waits behind the drop until that gives up; were that not bounded, for ever.
        writer.execute("SET lock_timeout = '5s'")
        writer.execute(
            "INSERT INTO dasmon_sample (at, value, series_id) VALUES (%s, 1, %s)", [NOW, key]
        )
        tending.join(timeout=30)
        assert [type(each) for each in outcomes] == [OperationalError]
    assert old.partition in day_partitions()
    partitions.tend(NOW)
    assert old.partition not in day_partitions()


def test_who_reads_for_long_keeps_no_rollups_from_being_made(key: int, settings: Settings) -> None:
    settings.DASMON_RAW_DAYS = 3
    old = TODAY.after(-5)
    partitions.provide([old.partition])
    lately = NOW - 5 * MINUTE
    write([*a_day(key, old), Sample(lately, lately, 1.0, key)])
    rollups.roll_up(NOW - HOUR)
    with outside() as reader:
        reader.execute("SELECT count(*) FROM dasmon_sample").fetchone()
        for chore in housekeeping.history():
            chore.do_if_due(0.0)
    assert old.partition in day_partitions()
    assert (key, lately) in stored("dasmon_minute")


def _tend(outcomes: list[Exception]) -> None:
    try:
        partitions.tend(NOW)
    except OperationalError as error:
        outcomes.append(error)
    finally:
        connection.close()


def _await_a_waiting_lock() -> None:
    deadline = threading.Event()
    timer = threading.Timer(20, deadline.set)
    timer.start()
    while not ask("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'"):
        assert not deadline.is_set(), "nobody asked for the lock"
    timer.cancel()


def test_months_of_minutes_are_dropped_and_hours_stay(key: int, settings: Settings) -> None:
    settings.DASMON_MINUTE_DAYS = 60
    old = datetime(2011, 3, 14, tzinfo=UTC)
    month = partitions.of_month(Month(2011, 3))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO dasmon_minute VALUES (%s, 1, 1, 1, 1, %s, 1)", [old, key])
        cursor.execute("INSERT INTO dasmon_hour VALUES (%s, 1, 1, 1, 1, %s, 1)", [old, key])
    assert partitions.provide([month]) == [month]
    assert ask("SELECT count(*) FROM dasmon_minute_2011_03") == [(1,)]
    partitions.tend(NOW)
    assert month not in month_partitions()
    assert (len(stored("dasmon_minute")), len(stored("dasmon_hour"))) == (0, 1)


def test_newest_values_that_nobody_hears_or_watches_are_forgotten(key: int) -> None:
    arcs = Instrument.objects.get()
    MonitoredPv.objects.create(instrument=arcs, name="watched")
    kinds = {"watched": 0, "heard": 0, "silent": 0, "status": 1}
    for name, kind in kinds.items():
        made = Series.objects.create(instrument=arcs, name=name, kind=kind)
        at = NOW if name == "heard" else NOW - 200 * DAY
        Latest.objects.create(series=made, at=at, received_at=at, value=1.0)
    partitions.tend(NOW)
    left = Latest.objects.values_list("series__name", flat=True)
    assert set(left) == {"watched", "heard", "status"}


def test_two_at_once_make_each_partition_once() -> None:
    wanted = [TODAY.after(-age).partition for age in range(20, 24)]
    made: list[Partition] = []

    def provide() -> None:
        try:
            made.extend(partitions.provide(wanted))
        finally:
            connection.close()

    threads = [threading.Thread(target=provide) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(wanted)


def test_days_are_ordered_and_in_utc() -> None:
    new_york = datetime.fromisoformat("2026-12-31T22:00:00-05:00")
    assert Day.of(new_york) == Day(2027, 1, 1)
    assert Day(2026, 3, 1).after(-1) == Day(2026, 2, 28)
    assert Day(2026, 11, 21).partition.name == "dasmon_sample_2026_11_21"
    assert Day(2026, 11, 21).partition.end - Day(2026, 11, 21).begin == timedelta(days=1)
