"""Who is to be told of an alarm."""

import threading
from datetime import datetime, time, timedelta

import pytest
from django.db import connection, transaction

from dasmon_listener import notifications, recipients
from dasmon_listener.domain.levels import Level
from dasmon_listener.models import Alarm, AlarmEvent, Notification, Recipient
from tests.integration.dasmon_listener import telling
from tests.integration.dasmon_listener.telling import MINUTE, MORNING, NIGHT, NOW, told

RAISED, OVER = Notification.Cause.RAISED, Notification.Cause.OVER
ESCALATED = Notification.Cause.ESCALATED


def over(alarm: Alarm) -> None:
    Alarm.objects.filter(pk=alarm.pk).update(over_at=NOW)
    notifications.enqueue([alarm], OVER, NOW)


def raised_again(alarm: Alarm, at: datetime = NOW) -> None:
    Alarm.objects.filter(pk=alarm.pk).update(over_at=None)
    AlarmEvent.objects.create(alarm=alarm, at=at, what=AlarmEvent.What.RAISED_AGAIN)
    notifications.enqueue([alarm], RAISED, NOW)


@pytest.mark.django_db
def test_those_are_told_who_want_it() -> None:
    telling.recipient(owner="all")
    telling.recipient("arcs", "cncs", owner="two")
    telling.recipient("cncs", owner="other")
    telling.recipient(owner="fatal", minimum_level=Level.FATAL)
    telling.recipient(owner="off", is_enabled=False)
    telling.recipient(owner="later", escalate_after=10 * MINUTE)
    telling.person("gone", is_active=False)
    telling.recipient(owner="gone")
    alarms = [telling.alarm(), telling.alarm("small", level=Level.WARNING)]
    notifications.enqueue(alarms, RAISED, NOW)
    assert told() == [("all", "raised"), ("two", "raised")]


@pytest.mark.django_db
def test_an_alarm_is_told_once_until_it_is_over_and_raised_again() -> None:
    telling.recipient()
    telling.recipient(owner="bob", wants_over=False)
    alarm = telling.alarm()
    for _ in range(2):
        notifications.enqueue([alarm], RAISED, NOW)
    assert told() == [("ada", "raised"), ("bob", "raised")]
    for _ in range(2):
        over(alarm)
    assert told()[2:] == [("ada", "over")]
    for _ in range(2):
        raised_again(alarm)
    assert told()[3:] == [("ada", "raised"), ("bob", "raised")]
    over(alarm)
    assert told()[5:] == [("ada", "over")]
    first, second = Notification.objects.filter(cause=OVER).order_by("id")
    raised = Notification.objects.filter(cause=RAISED, recipient=first.recipient).order_by("id")
    assert [first.follows, second.follows] == list(raised)


@pytest.mark.django_db
def test_an_alarm_that_becomes_worse_reaches_more_people() -> None:
    telling.recipient()
    telling.recipient(owner="chief", minimum_level=Level.FATAL)
    alarm = telling.alarm()
    notifications.enqueue([alarm], RAISED, NOW)
    Alarm.objects.update(level=Level.FATAL)
    notifications.enqueue([alarm], RAISED, NOW)
    assert told() == [("ada", "raised"), ("chief", "raised")]


@pytest.mark.django_db
def test_what_is_shelved_is_not_told() -> None:
    telling.recipient()
    telling.recipient(owner="later", escalate_after=MINUTE)
    alarm = telling.alarm()
    telling.shelve(alarm, NOW + 60 * MINUTE)
    notifications.enqueue([alarm], RAISED, NOW)
    assert notifications.escalate(NOW + 5 * MINUTE) == 0
    assert told() == []
    notifications.enqueue([alarm], RAISED, NOW + 60 * MINUTE)
    assert told() == [("ada", "raised")]


@pytest.mark.django_db
def test_what_lasted_for_a_moment_is_told_all_the_same() -> None:
    telling.recipient()
    alarm = telling.alarm()
    Alarm.objects.update(over_at=NOW, closed_at=NOW)
    notifications.enqueue([alarm], RAISED, NOW)
    notifications.enqueue([alarm], OVER, NOW)
    assert told() == [("ada", "raised"), ("ada", "over")]


@pytest.mark.django_db
def test_an_alarm_that_comes_and_goes_has_to_last_to_be_told_again() -> None:
    telling.recipient()
    for second in range(5):
        at = NOW + timedelta(seconds=second)
        alarm = telling.alarm(at=at)
        notifications.enqueue([alarm], RAISED, at)
        Alarm.objects.filter(pk=alarm.pk).update(over_at=at, closed_at=at)
    notifications.enqueue([telling.alarm("another")], RAISED, at)
    rows = Notification.objects.order_by("id").values_list("due_at", "created_at")
    waits = [due_at - created_at for due_at, created_at in rows]
    none, calm = timedelta(0), notifications.WINDOW
    assert waits == [none, none, none, calm - timedelta(seconds=3), waits[3], none]
    later = NOW + notifications.WINDOW + MINUTE
    notifications.enqueue([telling.alarm(at=later)], RAISED, later)
    assert Notification.objects.latest("id").due_at == later


@pytest.mark.django_db
def test_quiet_hours_postpone_all_but_what_is_fatal() -> None:
    telling.recipient(quiet_from=time(22), quiet_until=time(7))
    alarms = [telling.alarm(), telling.alarm("beam", level=Level.FATAL)]
    notifications.enqueue(alarms, RAISED, NIGHT)
    due = dict(Notification.objects.values_list("alarm__name", "due_at"))
    assert due == {"chopper 1": MORNING, "beam": NIGHT}
    Notification.objects.all().delete()
    notifications.enqueue(alarms[:1], RAISED, NOW)
    assert Notification.objects.get().due_at == NOW


@pytest.mark.django_db
def test_nobody_acknowledged() -> None:
    telling.recipient(owner="chief", escalate_after=10 * MINUTE)
    telling.recipient(owner="boss", escalate_after=60 * MINUTE, way="slack", address="https://x")
    alarm = telling.alarm()
    telling.alarm("acknowledged", at=NOW)
    Alarm.objects.filter(name="acknowledged").update(acknowledged_at=NOW)
    assert notifications.escalate(NOW + 10 * MINUTE - timedelta(seconds=1)) == 0
    assert notifications.escalate(NOW + 10 * MINUTE) == 1
    assert notifications.escalate(NOW + 11 * MINUTE) == 0
    assert notifications.escalate(NOW + 60 * MINUTE) == 1
    assert told() == [("chief", "escalated"), ("boss", "escalated")]
    events = AlarmEvent.objects.filter(alarm=alarm, what=AlarmEvent.What.ESCALATED)
    assert list(events.values_list("words", flat=True)) == [
        "not acknowledged for 10 min, so chief is told by e-mail",
        "not acknowledged for 60 min, so boss is told by Slack",
    ]
    over(alarm)
    raised_again(alarm, NOW + 70 * MINUTE)
    assert notifications.escalate(NOW + 79 * MINUTE) == 0
    assert notifications.escalate(NOW + 80 * MINUTE) == 1
    assert told()[2:] == [("chief", "over"), ("boss", "over"), ("chief", "escalated")]


@pytest.mark.django_db(transaction=True)
def test_two_workers_escalate_once() -> None:
    for owner in "abcdef":
        telling.recipient(owner=owner, escalate_after=MINUTE)
    for name in "xyz":
        telling.alarm(name)
    start, counts = threading.Barrier(2), []

    def work() -> None:
        start.wait()
        counts.append(notifications.escalate(NOW + MINUTE))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 18
    assert len(told(ESCALATED)) == 18
    assert AlarmEvent.objects.filter(what=AlarmEvent.What.ESCALATED).count() == 18


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told() -> None:
    telling.recipient()
    alarm = telling.alarm()
    with pytest.raises(RuntimeError), transaction.atomic():
        notifications.enqueue([alarm], RAISED, NOW)
        raise RuntimeError
    assert told() == []


@pytest.mark.django_db
def test_only_alarms_are_enqueued() -> None:
    with pytest.raises(ValueError, match="test is not enqueued"):
        notifications.enqueue([], Notification.Cause.TEST, NOW)


@pytest.mark.django_db(transaction=True)
def test_a_recipient_that_is_removed_in_this_moment_stops_no_alarm() -> None:
    removed, kept = telling.recipient(), telling.recipient(owner="bob")
    known = telling.alarm("known")
    notifications.enqueue([known], RAISED, NOW)

    def remove() -> None:
        recipients.remove(removed)
        connection.close()

    person = threading.Thread(target=remove)
    with transaction.atomic():
        alarm = telling.alarm()
        over(known)
        notifications.enqueue([alarm], RAISED, NOW)
        person.start()
        while person.is_alive() and not is_somebody_waiting():
            person.join(0.01)
    person.join()
    assert list(Recipient.objects.all()) == [kept]
    assert told() == [("bob", "raised"), ("bob", "over"), ("bob", "raised")]


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
