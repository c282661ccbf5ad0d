"""When a rule would have raised its alarm, from what is stored."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dasmon_listener import alarms
from dasmon_listener.domain.alarm_rules import Condition, Rule, Sample
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Alarm, AlarmRule
from dasmon_listener.previews import Occurrence, PreviewTooLongError, preview
from dasmon_listener.watch import Watch
from tests.integration.dasmon_listener.samples import keep, series_of
from workflow_manager.models import Instrument

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
PV = "BL18:SE:SampleTemp"
WEEK = timedelta(days=7)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def arcs(db: None) -> Instrument:
    return Instrument.objects.create(name="arcs", facility="SNS")


def rule_of(
    instrument: Instrument, condition: Condition, duration: float = 0, hysteresis: float = 0.5
) -> AlarmRule:
    return AlarmRule(
        instrument=instrument,
        kind=Kind.PV.value,
        name=PV,
        condition=condition,
        low=-1.0,
        high=1.0,
        hysteresis=hysteresis,
        duration=timedelta(seconds=duration),
    )


@pytest.mark.parametrize("condition", list(Condition))
@pytest.mark.parametrize(("duration", "seed"), [(1, 20261122), (3, 20261132)])
def test_a_preview_is_what_the_watch_does_on_the_same_samples(
    arcs: Instrument, condition: Condition, duration: float, seed: int
) -> None:
    source = random.Random(seed)  # noqa: S311 - not a secret
    rule = rule_of(arcs, condition, duration)
    alarms.save_rule(rule, User.objects.create_user("scientist"))
    series, watch, value = series_of(arcs, PV), Watch(), 0.0
    samples: list[Sample] = []
    keep(series, [Sample(NOW, value)])
    watch.look(NOW)
    for second in range(120):
        came: list[Sample] = []
        for part in sorted(source.sample(range(1, 999), source.choice([0, 0, 0, 1, 1, 2, 5]))):
            value = max(-2.0, min(2.0, value + source.choice([-1.5, -0.75, 0, 0.75, 1.5])))
            unusual = source.choice([(None, "off"), (math.nan, None), *[(value, None)] * 10])
            came.append(Sample(after(second + part / 1000), *unusual))
        keep(series, came)
        samples += came
        watch.look(after(second + 1))
    watch.look(after(121))
    happened = [(alarm.raised_at, alarm.over_at) for alarm in Alarm.objects.order_by("id")]
    found = preview(rule, NOW, after(120)).occurrences
    assert [(each.began_at, each.ended_at) for each in found] == happened
    assert len(happened) >= 2
    for occurrence in found if condition.needs_low or condition.needs_high else []:
        begin = occurrence.began_at - rule.duration
        end = occurrence.ended_at or after(120)
        lasting = [each.value or 0.0 for each in samples if begin <= each.at < end]
        lasting = [value for value in lasting if not math.isnan(value)]
        assert occurrence.extreme == max(lasting, key=lambda value: _excess(rule.terms, value))


def _excess(terms: Rule, value: float) -> float:
    return max(value - terms.highest, terms.lowest - value)


def test_a_value_that_was_beyond_before_the_week_is_seen(arcs: Instrument) -> None:
    keep(series_of(arcs, PV), [Sample(after(-100), 5.0), Sample(after(10), 7.0)])
    found = preview(rule_of(arcs, Condition.ABOVE), NOW, after(60))
    assert found.occurrences == [Occurrence(after(-100), None, 7.0)]
    assert found.samples == 1


def test_where_samples_are_gone_minutes_are_looked_at(arcs: Instrument) -> None:
    series = series_of(arcs, PV)
    keep(series, [Sample(after(180), 3.0), Sample(after(200), 0.0)])
    minutes = [(-120, -5.0, 0.5, 0.0, 60), (-60, -6.0, 8.0, 0.0, 60), (0, 0.0, 0.0, 0.0, 1)]
    with connection.cursor() as cursor:
        for begin, minimum, maximum, last, count in minutes:
            cursor.execute(
                "INSERT INTO dasmon_minute (series_id, at, minimum, maximum, last, count)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [series.id, after(begin), minimum, maximum, last, count],
            )
    found = preview(rule_of(arcs, Condition.ABOVE), after(-3600), after(600))
    assert found.occurrences == [
        Occurrence(after(-60), after(-30), 8.0),
        Occurrence(after(180), after(200), 3.0),
    ]
    below = preview(rule_of(arcs, Condition.BELOW), after(-3600), after(600)).occurrences
    assert [each.extreme for each in below] == [-5.0, -6.0]


def test_a_rule_on_nothing_or_without_sense(arcs: Instrument) -> None:
    assert preview(rule_of(arcs, Condition.ABOVE), NOW, after(60)).occurrences == []
    rule = rule_of(arcs, Condition.ABOVE)
    rule.high = None
    with pytest.raises(ValueError, match="upper limit"):
        preview(rule, NOW, after(60))


def test_a_preview_ends_before_people_lose_patience(arcs: Instrument) -> None:
    samples = (Sample(after(number / 10), float(number % 7)) for number in range(20_000))
    keep(series_of(arcs, PV), samples)
    rule = rule_of(arcs, Condition.ABOVE)
    with pytest.raises(PreviewTooLongError):
        preview(rule, NOW, after(3600), patience=timedelta(milliseconds=1))
    assert preview(rule, NOW, after(3600)).occurrences
