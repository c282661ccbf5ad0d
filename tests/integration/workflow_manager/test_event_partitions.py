"""Events by month: partitions ahead, dropped when old, opened only where something can be."""

import datetime as dt
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager import event_partitions, selectors, services
from workflow_manager.domain.steps import Phase
from workflow_manager.event_partitions import Month
from workflow_manager.handlers import handle
from workflow_manager.models import Event, Job, OutboxMessage, Run
from workflow_manager.protocol.codec import decode
from workflow_manager.rows import COMES_AGAIN_WITHIN
from workflow_manager.services import Received
from workflow_manager.tasks import tend_event_partitions

pytestmark = pytest.mark.django_db(transaction=True)

AHEAD = range(event_partitions.MONTHS_AHEAD + 1)
LONG_AGO = Month(2011, 3)


@pytest.fixture(autouse=True)
def usual_partitions() -> Iterator[None]:
    """Each test begins and ends with those from this month on, and without events."""
    yield
    Event.objects.all().delete()
    event_partitions.forget_before(Month(9999, 1))
    event_partitions.ensure(event_partitions.MONTHS_AHEAD)


def ask(statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def where(event: Event) -> str:
    """The partition that holds an event."""
    ((name,),) = ask(
        "SELECT tableoid::regclass::text FROM workflow_event WHERE id = %s", [event.id]
    )
    return str(name)


def told(at: dt.datetime, message_id: str = "m1", **content: Any) -> None:
    """A message that this manager's clock places at `at`."""
    delivery = arrival("POSTPROCESS.INFO", message_id, **content)
    message = decode(delivery.destination, delivery.body, PurePosixPath("/facility"))
    services.record([Received(message, message_id, at)])


def opened(queries: CaptureQueriesContext) -> set[str]:
    """The partitions that captured queries plan to read."""
    found: set[str] = set()
    for query in queries.captured_queries:
        if "workflow_event" in query["sql"] and not query["sql"].startswith("INSERT"):
            ((plan,),) = ask(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            plan = json.loads(plan) if isinstance(plan, str) else plan
            found |= set(_relations(plan[0]["Plan"]))
    return found


def _relations(plan: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in plan:
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from _relations(part)


@pytest.fixture
def many_years() -> list[str]:
    """Fourteen years of partitions, as after moving in; their names."""
    months = [Month.now().after(-count) for count in range(170)]
    event_partitions.provide(months)
    return [month.partition for month in months]


def test_months_are_calendar_months_in_utc() -> None:
    new_york = dt.timezone(dt.timedelta(hours=-5))
    assert Month.of(dt.datetime(2026, 10, 31, 22, tzinfo=new_york)) == Month(2026, 11)
    assert Month(2026, 11).after(2) == Month(2027, 1)
    assert Month(2026, 11).after(-11) == Month(2025, 12)
    assert Month(2026, 12).after(-12) == Month(2025, 12)
    assert Month(2026, 2).begin == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert Month(2026, 2).partition == "workflow_event_2026_02"


def test_partitions_are_made_ahead_once() -> None:
    event_partitions.forget_before(Month(9999, 1))
    this = Month.now()
    assert event_partitions.ensure(event_partitions.MONTHS_AHEAD) == [
        this.after(ahead) for ahead in AHEAD
    ]
    assert event_partitions.ensure(event_partitions.MONTHS_AHEAD) == []
    take_in(arrival("POSTPROCESS.INFO", "m1"))
    assert where(Event.objects.get()) == this.partition


def test_nothing_is_locked_when_nothing_is_missing() -> None:
    with CaptureQueriesContext(connection) as queries:
        event_partitions.tend(0)
    assert not any("LOCK" in query["sql"] for query in queries)


def test_the_first_and_the_last_instant_are_in_their_month() -> None:
    event_partitions.provide([LONG_AGO, LONG_AGO.after(1)])
    instant = dt.timedelta(microseconds=1)
    for number, at in enumerate((LONG_AGO.begin, LONG_AGO.after(1).begin - instant)):
        told(at, f"m{number}")
    assert {where(event) for event in Event.objects.all()} == {LONG_AGO.partition}


def test_what_comes_for_a_month_without_a_partition_waits_and_moves() -> None:
    told(LONG_AGO.begin)
    told(LONG_AGO.after(5).begin, "m2")
    before = list(Event.objects.order_by("id").values())
    assert {where(event) for event in Event.objects.all()} == {"workflow_event_default"}
    assert event_partitions.ensure(0) == [LONG_AGO, LONG_AGO.after(5)]
    assert list(Event.objects.order_by("id").values()) == before
    assert [where(event) for event in Event.objects.order_by("id")] == [
        LONG_AGO.partition,
        LONG_AGO.after(5).partition,
    ]


def test_a_partition_has_the_indexes_and_foreign_keys_of_the_others() -> None:
    event_partitions.provide([LONG_AGO])
    columns = (
        "SELECT array_agg(indkey::text ORDER BY indkey::text) FROM pg_index WHERE indrelid = %s"
    )
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass"
    (wanted,) = ask(f"{columns}::regclass", ["workflow_event"])
    assert len(wanted[0]) == 6
    assert ask(f"{columns}::regclass", [LONG_AGO.partition]) == [wanted]
    assert ask(keys, [LONG_AGO.partition]) == [(2,)]


def test_old_months_are_dropped_and_runs_and_jobs_stay() -> None:
    this = Month.now()
    told(this.after(-3).begin, "old")
    told(this.after(-2).begin, "kept")
    take_in(arrival("POSTPROCESS.DATA_READY", "new"))
    event_partitions.tend(2)
    assert event_partitions.partitioned_months()[0] == this.after(-2)
    assert not Event.objects.filter(message_id="old").exists()
    assert Event.objects.filter(message_id="kept").count() == 1
    assert Event.objects.filter(message_id__startswith="new").count() == 1
    assert (Run.objects.count(), Job.objects.count()) == (1, 2)


def test_nothing_is_dropped_unless_it_is_wanted(settings: Any) -> None:
    told(LONG_AGO.begin)
    tend_event_partitions()
    assert where(Event.objects.get()) == LONG_AGO.partition
    settings.WORKFLOW_EVENT_RETENTION_MONTHS = 12
    tend_event_partitions()
    assert not Event.objects.exists()


def test_the_task_is_in_the_schedule() -> None:
    tasks = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    assert tend_event_partitions.name in tasks


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """A second connection to the same database."""
    parameters = connection.get_connection_params()
    wanted = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: parameters[name] for name in wanted}) as link:
        yield link


def test_who_holds_a_lock_too_long_is_not_waited_for(other: psycopg.Connection) -> None:
    take_in(arrival("POSTPROCESS.INFO", "m1"))
    other.execute("UPDATE workflow_run SET data_file = 'x'")
    with pytest.raises(OperationalError, match="lock timeout"):
        event_partitions.provide([LONG_AGO])
    other.rollback()
    assert event_partitions.provide([LONG_AGO]) == [LONG_AGO]


def test_two_managers_make_one_partition() -> None:
    made: list[list[Month]] = []

    def make() -> None:
        try:
            made.append(event_partitions.provide([LONG_AGO]))
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(made) == [[], [], [], [LONG_AGO]]


def test_a_message_recorded_by_two_managers_at_once_is_one_event(
    other: psycopg.Connection,
) -> None:
    """One manager waits in the middle of its transaction until the other waits for the run."""
    failures: list[BaseException] = []
    delivery = arrival("POSTPROCESS.DATA_READY", "m1")

    def second_manager() -> None:
        try:
            handle([delivery], PurePosixPath("/facility"))
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    thread = threading.Thread(target=second_manager)
    with transaction.atomic():
        take_in(delivery)
        thread.start()
        _wait_until_somebody_waits(other)
        assert thread.is_alive()
    thread.join(timeout=30)
    assert not failures
    assert Event.objects.filter(queue="POSTPROCESS.DATA_READY").count() == 1
    assert (Event.objects.count(), Job.objects.count()) == (3, 2)
    assert OutboxMessage.objects.count() == 2


def _wait_until_somebody_waits(link: psycopg.Connection) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = timezone.now() + dt.timedelta(seconds=20)
    while timezone.now() < deadline:
        row = link.execute(waiting).fetchone()
        link.rollback()
        if row and row[0]:
            return
    raise AssertionError("the second manager never waited for the first")


@pytest.mark.parametrize(("days", "is_known"), [(1, True), (61, True), (63, False)])
def test_a_message_is_known_for_two_months(days: int, is_known: bool) -> None:
    assert dt.timedelta(days=61) < COMES_AGAIN_WITHIN < dt.timedelta(days=63)
    note, ready = arrival("POSTPROCESS.INFO", "m1"), arrival("POSTPROCESS.DATA_READY", "m2")
    take_in(note, ready)
    job = Job.objects.get(step="reduction")
    take_in(arrival("REDUCTION.STARTED", "m3", job_id=job.id, attempt=1))
    Event.objects.update(received_at=timezone.now() - dt.timedelta(days=days))
    take_in(note, arrival("REDUCTION.STARTED", "m4", job_id=job.id, attempt=1))
    for queue in ("POSTPROCESS.INFO", "REDUCTION.STARTED"):
        assert Event.objects.filter(queue=queue).count() == (1 if is_known else 2)


def test_a_report_that_comes_again_much_later_moves_nothing_back() -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    job = Job.objects.get(step="reduction")
    take_in(arrival("REDUCTION.COMPLETE", "m2", job_id=job.id, attempt=1))
    take_in(arrival("REDUCTION.STARTED", "m3", job_id=job.id, attempt=1))
    phases = {each.id: each.phase for each in Job.objects.all()}
    Event.objects.update(received_at=timezone.now() - dt.timedelta(days=100))
    take_in(arrival("REDUCTION.STARTED", "m4", job_id=job.id, attempt=1))
    assert Event.objects.filter(queue="REDUCTION.STARTED").count() == 2
    assert {each.id: each.phase for each in Job.objects.all()} == phases
    assert Run.objects.get().reduction == Phase.DONE


@pytest.mark.parametrize("days", [-400, -40, -2, -0.5, 0, 0.5, 2, 40])
def test_a_runs_events_are_found_whatever_the_clock_said(days: float) -> None:
    take_in(arrival("POSTPROCESS.INFO", "m1"))
    at = timezone.now() + dt.timedelta(days=days)
    told(at, "odd")
    # What comes after must not make the run's times narrow again.
    take_in(arrival("POSTPROCESS.INFO", "m3"))
    run = Run.objects.get()
    assert "odd" in {event.message_id for event in selectors.events_of(run, limit=9)}
    assert len(selectors.events_of(run, limit=9)) == 3
    assert selectors.newest_queue(run, ["POSTPROCESS.INFO"]) == "POSTPROCESS.INFO"


def test_what_is_shown_of_a_run_opens_its_months_only(many_years: list[str]) -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    run = Run.objects.get()
    with CaptureQueriesContext(connection) as queries:
        assert len(selectors.events_of(run, limit=501)) == 3
        assert selectors.newest_queue(run, ["REDUCTION.DATA_READY"])
    assert many_years[0] in opened(queries)
    assert len(opened(queries)) <= 3


def test_what_is_asked_before_recording_opens_the_last_months_only(many_years: list[str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    seen = opened(queries)
    assert many_years[0] in seen
    # Two months back are three or four partitions; besides those ahead and the default one.
    assert len(seen & set(many_years)) <= 4
    assert len(seen) <= 9


def test_health_opens_the_last_months_only(many_years: list[str]) -> None:
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    with CaptureQueriesContext(connection) as queries:
        assert selectors.health().last_event_at is not None
    assert many_years[0] in opened(queries)
    assert len(opened(queries)) <= 9


def test_health_finds_the_newest_event_however_old() -> None:
    told(LONG_AGO.begin)
    assert selectors.health().last_event_at == LONG_AGO.begin
