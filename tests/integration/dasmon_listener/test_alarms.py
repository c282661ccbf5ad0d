"""The life of an alarm in PostgreSQL, also when many report the same name at once."""

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dasmon_listener import alarms
from dasmon_listener.alarm_lists import AlarmFilter, alarm_history, events_of, open_alarms, roll_up
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.models import Alarm, AlarmEvent, AlarmSetting, Notification, Recipient
from workflow_manager.models import Instrument

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def arcs(db: None) -> Instrument:
    return Instrument.objects.create(name="arcs", facility="SNS")


@pytest.fixture
def scientist(db: None) -> User:
    return User.objects.create_user("scientist")


def report(
    level: Level | None = Level.ERROR,
    name: str = "SID_SVP_HIGH",
    *,
    message: str = "SV pressure too high",
    at: datetime = NOW,
    instrument: str = "arcs",
) -> SignalReport:
    return SignalReport(instrument, name, level, "DAS", message, at)


def receive(*reports: SignalReport, at: datetime = NOW) -> None:
    alarms.receive(reports, at)


def history(alarm: Alarm) -> list[str]:
    return [event.what for event in events_of(alarm)]


def test_a_signal_is_one_alarm_from_its_assertion_to_its_retraction(arcs: Instrument) -> None:
    receive(report(at=NOW))
    receive(report(at=NOW + SECOND), at=NOW + SECOND)
    later = NOW + 2 * SECOND
    receive(report(Level.FATAL, message="SV bursts", at=later), at=later)
    (shown,) = open_alarms(AlarmFilter("arcs"))
    alarm = shown.alarm
    assert (alarm.name, alarm.level, alarm.message) == ("SID_SVP_HIGH", Level.FATAL, "SV bursts")
    assert (alarm.raised_at, alarm.repeated_at, alarm.repeats) == (NOW, later, 2)
    assert (alarm.origin, alarm.source, alarm.over_at) == ("signal", "DAS", None)
    over = NOW + 3 * SECOND
    receive(report(None, at=over), at=over)
    assert open_alarms() == []
    alarm.refresh_from_db()
    assert (alarm.over_at, alarm.closed_at) == (over, over)
    assert [(event.what, event.words) for event in events_of(alarm)] == [
        ("raised", "SV pressure too high"),
        ("changed", "from error to fatal"),
        ("over", ""),
    ]


def test_a_latched_alarm_waits_for_somebody_and_can_be_raised_again(
    arcs: Instrument, scientist: User
) -> None:
    alarms.describe(arcs, "SID_SVP_HIGH", guidance="Close V3.", is_latched=True, by=scientist)
    receive(report())
    alarms.acknowledge(open_alarms()[0].alarm, scientist, "I look")
    receive(report(None))
    assert open_alarms() == []  # somebody knew of it before it was over
    receive(report())
    receive(report(None))
    receive(report(Level.WARNING, message="again"))
    (shown,) = open_alarms()
    assert (shown.guidance, shown.alarm.over_at, shown.alarm.message) == (
        "Close V3.",
        None,
        "again",
    )
    receive(report(None))
    alarms.acknowledge(shown.alarm, scientist, "closed V3")
    alarms.acknowledge(shown.alarm, scientist, "twice")
    assert open_alarms() == []
    newest, first = alarm_history(arcs, None, 10)
    assert (newest.acknowledged_by, newest.comment) == (scientist, "closed V3")
    assert history(newest) == [
        "raised", "over", "raised again", "over", "acknowledged", "closed",
    ]  # fmt: skip
    assert history(first) == ["raised", "acknowledged", "over"]
    assert alarm_history(None, newest, 10) == [first]


def test_a_signal_whose_sender_is_gone_is_closed_by_hand(arcs: Instrument, scientist: User) -> None:
    alarms.describe(arcs, "SID_SVP_HIGH", guidance="", is_latched=True, by=scientist)
    receive(report())
    (shown,) = open_alarms()
    for _ in range(2):
        alarms.close(shown.alarm, scientist, "DASMON was replaced")
    assert open_alarms() == []
    assert history(shown.alarm) == ["raised", "closed"]
    receive(report())
    assert len(open_alarms()) == 1
    Alarm.objects.update(origin="rule")
    with pytest.raises(alarms.AlarmRefusedError, match="ends by itself"):
        alarms.close(open_alarms()[0].alarm, scientist, "")


def test_reports_of_one_batch_are_folded_in_their_order(arcs: Instrument) -> None:
    receive(
        report(None),
        report(Level.INFO),
        report(Level.ERROR),
        report(None),
        report(None),
        report(Level.WARNING),
    )
    (shown,) = open_alarms()
    assert shown.alarm.level == Level.WARNING
    _, first = alarm_history(None, None, 10)
    assert history(first) == ["raised", "changed", "over"]


def test_an_assertion_that_was_under_way_for_an_hour_is_ignored(arcs: Instrument) -> None:
    old = NOW - timedelta(seconds=3601)
    receive(report(name="old", at=old), report(name="young", at=old + 2 * SECOND))
    assert [shown.alarm.name for shown in open_alarms()] == ["young"]
    receive(report(None, name="young", at=old))
    assert open_alarms() == []


def test_a_batch_of_hundreds_costs_as_many_statements_as_one_of_two(arcs: Instrument) -> None:
    def statements(first: int, last: int) -> int:
        receive(*(report(name=f"known {number}") for number in range(first, last)))
        batch = [report(None, name=f"known {number}") for number in range(first, last)]
        batch += [report(name=f"new {number}") for number in range(first, last)]
        with CaptureQueriesContext(connection) as captured:
            receive(*batch)
        return len(captured)

    assert statements(0, 1) == statements(1, 300) <= 12
    assert roll_up()[arcs.id].count == 300


def test_nothing_of_a_text_is_cut(arcs: Instrument) -> None:
    receive(report(message="ä" * 10_000))
    assert open_alarms()[0].alarm.message == "ä" * 10_000


def test_a_shelved_alarm_is_recorded_and_does_not_count(arcs: Instrument, scientist: User) -> None:
    now = datetime.now(UTC)
    receive(report(), report(Level.INFO, name="note"))
    assert (roll_up()[arcs.id].count, roll_up()[arcs.id].highest) == (1, Level.ERROR)
    alarms.shelve(arcs, "SID_SVP_HIGH", now + timedelta(hours=1), scientist, "pump is replaced")
    assert roll_up() == {}
    shown = open_alarms()[0]
    assert (shown.shelved_by, shown.shelved_because) == ("scientist", "pump is replaced")
    assert alarms.end_shelves(now) == 0
    alarms.unshelve(arcs, "SID_SVP_HIGH", scientist)
    alarms.unshelve(arcs, "SID_SVP_HIGH", scientist)
    assert roll_up()[arcs.id].unacknowledged == 1
    alarms.shelve(arcs, "SID_SVP_HIGH", now + timedelta(hours=1), scientist, "")
    assert alarms.end_shelves(now + timedelta(hours=2)) == 1
    assert history(shown.alarm) == ["raised", "shelved", "unshelved", "shelved", "unshelved"]
    assert AlarmSetting.objects.get().shelved_until is None


def test_people_are_told_once_of_what_is_not_shelved_and_again_when_it_is_raised_again(
    arcs: Instrument, scientist: User
) -> None:
    Recipient.objects.create(
        owner=scientist, way="email", address="a@b.org", minimum_level=Level.WARNING.value
    )
    now = datetime.now(UTC)

    def told() -> list[str]:
        return list(Notification.objects.order_by("id").values_list("cause", flat=True))

    alarms.shelve(arcs, "SID_SVP_HIGH", now + timedelta(hours=1), scientist, "")
    receive(report(Level.WARNING), report(Level.INFO, name="note"))
    assert told() == []
    alarms.unshelve(arcs, "SID_SVP_HIGH", scientist)
    receive(report(Level.WARNING))
    receive(report(Level.FATAL))
    assert told() == ["raised"]
    alarms.describe(arcs, "SID_SVP_HIGH", guidance="", is_latched=True, by=scientist)
    receive(report(None), report())
    assert told() == ["raised", "over", "raised"]
    receive(report(None))
    assert told()[3:] == ["over"]
    receive(report(name="short"), report(None, name="short"))  # over before anybody could act
    receive(report(Level.INFO, name="note"), report(Level.ERROR, name="note"))
    assert told()[4:] == ["raised"]


@pytest.mark.parametrize("until", [timedelta(seconds=-1), timedelta(days=30, minutes=1)])
def test_a_shelf_ends_within_thirty_days(
    arcs: Instrument, scientist: User, until: timedelta
) -> None:
    with pytest.raises(alarms.AlarmRefusedError, match="30 days"):
        alarms.shelve(arcs, "SID_SVP_HIGH", datetime.now(UTC) + until, scientist, "")


@pytest.mark.django_db(transaction=True)
def test_many_who_report_the_same_names_at_once_leave_one_history(arcs: Instrument) -> None:
    scientist = User.objects.create_user("scientist")
    names = [f"S{number}" for number in range(6)]
    Recipient.objects.create(owner=scientist, way="email", address="a@b.org", minimum_level=0)
    for name in names[:3]:
        alarms.describe(arcs, name, guidance="", is_latched=True, by=scientist)
    ready = threading.Barrier(8)
    failures: list[BaseException] = []

    def report_at_random(seed: int) -> None:
        source = random.Random(seed)  # noqa: S311 - not a secret
        ready.wait(timeout=20)
        for _ in range(15):
            chosen = source.sample(names, 4)
            levels = [source.choice([None, Level.WARNING, Level.ERROR]) for _ in chosen]
            receive(*map(report, levels, chosen))
            if source.random() < 0.3 and (found := open_alarms()):
                alarms.acknowledge(source.choice(found).alarm, scientist, "seen")

    def run(work: Callable[[int], None], seed: int) -> None:
        try:
            work(seed)
        except BaseException as error:  # noqa: BLE001 - told by the test below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(report_at_random, seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    opened = Alarm.objects.filter(closed_at=None).values_list("name", flat=True)
    assert sorted(opened) == sorted(set(opened))
    for alarm in Alarm.objects.all():
        assert_history_is_possible(alarm)


def assert_history_is_possible(alarm: Alarm) -> None:
    """It starts with its raising, is over and raised again by turns, and ends as the row says."""
    said = history(alarm)
    turns = [what for what in said if what in {"raised", "over", "raised again"}]
    assert turns[0] == "raised"
    assert all(what == "over" for what in turns[1::2]), said
    assert all(what == "raised again" for what in turns[2::2]), said
    assert (turns[-1] == "over") == (alarm.over_at is not None)
    is_settled = alarm.over_at is not None and (
        not alarm.is_latched or alarm.acknowledged_at is not None
    )
    assert (alarm.closed_at is not None) == is_settled
    assert AlarmEvent.objects.filter(alarm=alarm, what="raised").count() == 1
