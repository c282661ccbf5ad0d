"""Rules and silence, found out from what is in PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from dasmon_listener import alarms
from dasmon_listener.alarm_lists import AlarmFilter, events_of, open_alarms
from dasmon_listener.domain.alarm_rules import Condition
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Alarm, AlarmRule, Component, Equipment
from dasmon_listener.watch import Watch
from tests.integration.dasmon_listener.samples import keep_one, series_of
from workflow_manager.models import Instrument

NOW = datetime.now(UTC).replace(microsecond=0)
PV = "BL18:SE:SampleTemp"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def arcs(db: None) -> Instrument:
    return Instrument.objects.create(name="arcs", facility="SNS")


@pytest.fixture
def scientist(db: None) -> User:
    return User.objects.create_user("scientist")


@pytest.fixture
def rule(arcs: Instrument, scientist: User) -> AlarmRule:
    return make_rule(arcs, scientist)


def make_rule(instrument: Instrument, by: User, **changed: Any) -> AlarmRule:
    usual = {
        "kind": Kind.PV.value,
        "name": PV,
        "condition": Condition.ABOVE,
        "high": 310.0,
        "hysteresis": 5.0,
        "duration": timedelta(),
    }
    return alarms.save_rule(AlarmRule(instrument=instrument, **(usual | changed)), by)


def look(watch: Watch, *, until: float, begin: float = 0, hears: bool = True) -> None:
    """Each second, as the listener does."""
    second = begin
    while second <= until:
        watch.look(after(second), hears)
        second += 1


def shown() -> list[tuple[str, str, Level]]:
    return [
        (each.alarm.name, each.alarm.message, Level(each.alarm.level)) for each in open_alarms()
    ]


def told() -> list[tuple[str, float]]:
    """All histories, in seconds from NOW."""
    return [
        (event.what, (event.at - NOW).total_seconds())
        for alarm in Alarm.objects.order_by("id")
        for event in events_of(alarm)
    ]


def test_a_value_beyond_its_limit_is_an_alarm_until_it_is_well_back(
    arcs: Instrument, rule: AlarmRule
) -> None:
    series, watch = series_of(arcs, PV), Watch()
    keep_one(series, after(-5), 300.0)
    watch.look(NOW)
    keep_one(series, after(0.5), 312.4)
    watch.look(after(1))
    assert shown() == [(f"{PV} above", f"{PV} is above 310 (312.4)", Level.ERROR)]
    (alarm,) = Alarm.objects.all()
    assert (alarm.origin, alarm.rule, alarm.raised_at) == ("rule", rule, after(0.5))
    keep_one(series, after(1.5), 306.0)
    watch.look(after(2))
    assert len(shown()) == 1
    keep_one(series, after(2.5), 305.0)
    watch.look(after(3))
    assert shown() == []
    assert told() == [("raised", 0.5), ("over", 2.5)]


def test_a_spike_between_two_looks_is_seen(arcs: Instrument, rule: AlarmRule) -> None:
    series, watch = series_of(arcs, PV), Watch()
    keep_one(series, after(-5), 300.0)
    watch.look(NOW)
    for second, value in ((0.2, 320.0), (0.4, 300.0)):
        keep_one(series, after(second), value)
    watch.look(after(1))
    assert told() == [("raised", 0.2), ("over", 0.4)]


def test_rules_are_followed_without_a_restart(arcs: Instrument, scientist: User) -> None:
    watch = Watch()
    watch.look(NOW)
    rule = make_rule(arcs, scientist, name="count_rate", kind=Kind.STATUS_VALUE.value, high=10)
    watch.look(after(1))
    series = series_of(arcs, "count_rate", Kind.STATUS_VALUE)
    keep_one(series, after(1.5), 11.0)
    watch.look(after(2))
    assert len(shown()) == 1
    rule.high = 100.0
    alarms.save_rule(rule, scientist)
    watch.look(after(3))
    assert shown() == []
    rule.high, rule.level = 9.0, Level.WARNING.value
    alarms.save_rule(rule, scientist)
    watch.look(after(4))
    rule.level = Level.FATAL.value
    alarms.save_rule(rule, scientist)
    watch.look(after(5))
    assert shown() == [("count_rate above", "count_rate is above 9 (11)", Level.FATAL)]
    alarms.remove_rule(rule, scientist)
    watch.look(after(6))
    assert shown() == []
    expected = ["raised", "over", "raised", "changed", "over"]
    assert [what for what, _ in told()] == expected


def test_two_rules_of_one_alarm_hold_it_up_together(arcs: Instrument, scientist: User) -> None:
    make_rule(arcs, scientist, high=310, level=Level.WARNING.value)
    make_rule(arcs, scientist, high=350, level=Level.FATAL.value)
    series, watch = series_of(arcs, PV), Watch()
    levels = []
    for second, value in enumerate([300.0, 320.0, 360.0, 345.0, 300.0]):
        keep_one(series, after(second - 0.5), value)
        watch.look(after(second))
        levels.append([level for _, _, level in shown()])
    assert levels == [[], [Level.WARNING], [Level.FATAL], [Level.WARNING], []]
    assert Alarm.objects.count() == 1


def test_a_new_listener_goes_on_with_what_is_open(arcs: Instrument, rule: AlarmRule) -> None:
    series = series_of(arcs, PV)
    keep_one(series, after(-1), 320.0)
    Watch().look(NOW)
    Watch().look(after(1))
    keep_one(series, after(1), 307.0)
    Watch().look(after(2))  # within the hysteresis
    assert told() == [("raised", 0)]
    keep_one(series, after(2), 300.0)
    Watch().look(after(3))
    assert told() == [("raised", 0), ("over", 3)]


def test_an_alarm_of_a_rule_that_is_gone_ends_with_a_new_listener(
    arcs: Instrument, scientist: User, rule: AlarmRule
) -> None:
    keep_one(series_of(arcs, PV), after(-1), 320.0)
    Watch().look(NOW)
    alarms.remove_rule(rule, scientist)
    Watch().look(after(1))
    assert (shown(), Alarm.objects.get().rule) == ([], None)


def test_what_must_last_is_raised_by_the_clock(arcs: Instrument, scientist: User) -> None:
    make_rule(arcs, scientist, duration=timedelta(seconds=30))
    make_rule(
        arcs, scientist, condition=Condition.STALE, duration=timedelta(seconds=60), message="Dead."
    )
    watch = Watch()
    watch.look(NOW)
    keep_one(series_of(arcs, PV), after(0.5), 320.0)
    look(watch, begin=1, until=29)
    assert shown() == []
    look(watch, begin=30, until=62)
    assert told() == [("raised", 30.5), ("raised", 60.5)]
    assert {words for _, words, _ in shown()} == {f"{PV} is above 310 (320)", "Dead."}
    make_rule(arcs, scientist, name="T2", condition=Condition.STALE, duration=timedelta(seconds=9))
    keep_one(series_of(arcs, "T2"), after(1), 320.0)
    watch.look(after(63))
    assert told()[-1] == ("raised", 63)


def test_nothing_follows_from_silence_while_we_do_not_hear(
    arcs: Instrument, scientist: User
) -> None:
    make_rule(arcs, scientist, condition=Condition.STALE, duration=timedelta(seconds=20))
    heard(arcs, "dasmon")
    keep_one(series_of(arcs, PV), NOW, 1.0)
    watch = Watch()
    look(watch, until=10)
    look(watch, begin=11, until=300, hears=False)
    look(watch, begin=301, until=316)
    assert shown() == []
    look(watch, begin=317, until=317)
    assert [name for name, _, _ in shown()] == ["silent dasmon"]
    watch.look(after(600))  # this process was frozen, and heard nothing either
    assert [name for name, _, _ in shown()] == ["silent dasmon"]


def heard(instrument: Instrument, name: str, at: datetime = NOW, period: float = 5) -> Component:
    said = {"heard_at": at, "period": timedelta(seconds=period)}
    return Component.objects.update_or_create(instrument=instrument, name=name, defaults=said)[0]


def test_a_silent_component_is_an_alarm_until_it_is_heard(arcs: Instrument) -> None:
    common = Instrument.objects.create(name="common")
    for name in ("dasmon", "pvsd", "pvstreamer", "sms"):
        heard(arcs, name)
    heard(common, "autoreducer4.sns.gov", period=30)
    watch = Watch()
    look(watch, until=15)
    assert shown() == []
    look(watch, begin=16, until=16)
    # Instruments without a word about it have no PVSD.
    assert {name for name, _, _ in shown()} == {"silent dasmon", "silent pvstreamer", "silent sms"}
    assert open_alarms(AlarmFilter("arcs"))[0].alarm.message.endswith(
        f"is silent since {NOW:%Y-%m-%d %H:%M:%S} UTC; it should be heard each 5 s."
    )
    look(watch, begin=17, until=66)
    assert shown()[0][0] == "silent autoreducer4.sns.gov"
    heard(arcs, "dasmon", after(66.5))
    watch.look(after(67))
    assert "silent dasmon" not in {name for name, _, _ in shown()}


def test_people_say_whose_silence_is_an_alarm(arcs: Instrument) -> None:
    for name in ("dasmon", "pvsd", "pvstreamer", "sms"):
        heard(arcs, name)
    equipment = Equipment.objects.create(
        instrument=arcs, is_adara=False, has_pvsd=True, has_pvstreamer=False
    )
    watch = Watch()
    look(watch, until=20)
    assert {name for name, _, _ in shown()} == {"silent pvsd", "silent sms"}
    Component.objects.filter(name="sms").update(is_expected=False)
    watch.look(after(21))
    assert {name for name, _, _ in shown()} == {"silent pvsd"}
    equipment.is_alive = False
    equipment.save()
    watch.look(after(22))
    assert shown() == []
    equipment.is_alive = True
    equipment.save()
    watch.look(after(23))
    alarms.forget_component(Component.objects.get(name="pvsd"))
    watch.look(after(24))
    assert shown() == []
    assert not Component.objects.filter(name="pvsd").exists()


def test_after_a_look_that_failed_limits_start_anew(arcs: Instrument, rule: AlarmRule) -> None:
    """Heartbeats that came while the database was away may not be written down yet."""
    heard(arcs, "dasmon")
    keep_one(series_of(arcs, PV), after(-1), 320.0)
    watch = Watch()
    look(watch, until=10)
    with pytest.raises(DatabaseError), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE dasmon_component RENAME TO gone")
        watch.look(after(11))
    look(watch, begin=12, until=27)
    assert told() == [("raised", 0)]
    look(watch, begin=28, until=28)
    assert told() == [("raised", 0), ("raised", 28)]


def test_a_rule_that_makes_no_sense_does_not_stop_the_others(
    arcs: Instrument, scientist: User, rule: AlarmRule, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = make_rule(arcs, scientist, name="T2")
    AlarmRule.objects.filter(id=wrong.id).update(condition="beautiful")
    keep_one(series_of(arcs, PV), after(-1), 320.0)
    look(Watch(), until=3)
    assert len(shown()) == 1
    assert caplog.text.count("makes no sense") == 1


def test_a_look_ends_shelves(arcs: Instrument, scientist: User, rule: AlarmRule) -> None:
    keep_one(series_of(arcs, PV), after(-1), 320.0)
    watch = Watch()
    alarms.shelve(arcs, rule.alarm_name, after(3600), scientist, "")
    look(watch, until=2)
    watch.look(after(3599))
    assert [what for what, _ in told()] == ["raised"]
    watch.look(after(3600))
    assert told() == [("raised", 0), ("unshelved", 3600)]


def test_many_rules_cost_as_many_statements_as_one(arcs: Instrument, scientist: User) -> None:
    counts = []
    for number in (1, 30):
        for each in range(number):
            make_rule(arcs, scientist, name=f"PV {number} {each}")
            keep_one(series_of(arcs, f"PV {number} {each}"), after(-1), 300.0)
        watch = Watch()
        watch.look(NOW)
        for each in range(number):
            keep_one(series_of(arcs, f"PV {number} {each}"), after(number - 0.5), 312.0)
        with CaptureQueriesContext(connection) as captured:
            watch.look(after(number))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 14
    assert len(shown()) == 31
