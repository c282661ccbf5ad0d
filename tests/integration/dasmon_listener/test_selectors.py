"""Series over any range are what brute force makes of the samples; names and values are found."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dasmon_listener import rollups
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Gap, Latest, MonitoredPv, Series
from dasmon_listener.selectors import (
    Envelope,
    LatestValue,
    gaps,
    known_names,
    latest_values,
    monitored_pvs,
    pv_series,
)
from tests.integration.dasmon_listener.history import (
    DAY,
    HOUR,
    MINUTE,
    Row,
    Rows,
    Sample,
    combined,
    floor,
    forget_all,
    is_close,
    minutes_of,
    series,
    write,
)
from workflow_manager.models import Instrument

NOW = floor(datetime.now(UTC), HOUR) + 17 * MINUTE
NAMES = ["BL18:Temp", "BL18:Speed"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def arcs(db: None) -> Instrument:
    forget_all()
    return Instrument.objects.create(name="arcs", facility="SNS")


@pytest.fixture
def samples(arcs: Instrument) -> list[Sample]:
    """Half a day of two PVs, rolled up until an hour and some minutes ago."""
    dice = random.Random(7)  # noqa: S311
    keys = [series(arcs, name) for name in NAMES]
    found = []
    for key in keys:
        for second in range(0, 12 * 3600, 9):
            at = NOW - timedelta(seconds=second + dice.random())
            found.append(Sample(at, at, dice.gauss(100, 3), key))
    write(found)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE dasmon_sample")
    rollups.roll_up(NOW - 100 * MINUTE)
    return found


def rows_of(envelope: Envelope) -> dict[float, Row]:
    columns = (envelope.minimum, envelope.maximum, envelope.mean, envelope.last, envelope.count)
    rows = map(Row._make, zip(*columns, strict=True))
    return dict(zip(envelope.at, rows, strict=True))


def assert_is(envelope: Envelope, wanted: Rows, key: int) -> None:
    of_this = {at.timestamp(): row for (each, at), row in wanted.items() if each == key}
    found = rows_of(envelope)
    assert found.keys() == of_this.keys()
    for at, row in of_this.items():
        assert found[at]._replace(mean=None) == row._replace(mean=None)
        assert is_close(found[at].mean, row.mean)


def width_of(envelope: Envelope, unit: timedelta) -> timedelta:
    """The widest that explains all begins; some bucket has a neighbour."""
    steps = [b - a for a, b in zip(envelope.at, envelope.at[1:], strict=False)]
    return round(min(steps) / unit.total_seconds()) * unit


@pytest.mark.parametrize(("length", "points"), [(11, 100), (6, 340), (2.5, 20)])
def test_minutes_in_buckets_are_exact_rolled_up_or_not(
    arcs: Instrument, samples: list[Sample], length: float, points: int
) -> None:
    start, end = NOW - length * HOUR + 20 * MINUTE, NOW
    minutes = {
        key: row for key, row in minutes_of(samples, NOW + HOUR).items() if start <= key[1] < end
    }
    for envelope in pv_series(NAMES, start, end, points, instrument=arcs):
        assert envelope.level == "minute"
        assert 2 <= len(envelope.at) <= points
        wanted = combined(minutes, width_of(envelope, MINUTE), NOW + DAY)
        assert_is(envelope, wanted, Series.objects.get(name=envelope.name).id)


def test_hours_in_buckets_are_exact_with_minutes_and_samples_for_the_newest(
    arcs: Instrument, samples: list[Sample]
) -> None:
    minutes = minutes_of(samples, NOW + HOUR)
    hours = combined(minutes, HOUR, NOW + DAY)
    for length, points in ((timedelta(days=40), 500), (10 * HOUR, 5)):
        start = floor(NOW - length, HOUR)
        for envelope in pv_series(NAMES, start, NOW, points):
            assert envelope.level == "hour" and len(envelope.at) <= points
            wanted = {key: row for key, row in hours.items() if key[1] >= start}
            width = width_of(envelope, HOUR)
            assert_is(
                envelope,
                combined(wanted, width, NOW + 2 * DAY),
                Series.objects.get(name=envelope.name).id,
            )


def test_raw_samples_in_buckets_are_exact(arcs: Instrument, samples: list[Sample]) -> None:
    start = NOW - 40 * MINUTE
    for envelope in pv_series(NAMES, start, NOW, 50):
        assert envelope.level == "raw" and 25 <= len(envelope.at) <= 50
        key = Series.objects.get(name=envelope.name).id
        mine = [each for each in samples if each.series == key and start <= each.at < NOW]
        begins = [datetime.fromtimestamp(at, UTC) for at in envelope.at]
        filled: dict[datetime, list[Sample]] = defaultdict(list)
        for sample in mine:
            filled[max(begin for begin in begins if begin <= sample.at)].append(sample)
        assert [len(filled[begin]) for begin in begins] == envelope.count
        for begin, row in zip(begins, rows_of(envelope).values(), strict=True):
            values = [each.value for each in filled[begin] if each.value is not None]
            assert (row.minimum, row.maximum) == (min(values), max(values))
            assert row.last == values[0], "the newest was made first"


def test_few_samples_are_shown_as_they_are_with_texts(
    arcs: Instrument, samples: list[Sample]
) -> None:
    key = series(arcs, "BL18:State")
    at = [NOW - 90 * MINUTE, NOW - 60 * MINUTE, NOW - 30 * MINUTE]
    write(
        [
            Sample(at[0], at[0], None, key, "Recording"),
            Sample(at[1], at[1], 214584.0, key),
            Sample(at[2], at[2], math.inf, key),
        ]
    )
    state, temperature, unknown = pv_series(
        ["BL18:State", NAMES[0], "nobody"], NOW - 10 * HOUR, NOW, 300
    )
    assert (state.level, temperature.level) == ("raw", "minute")
    assert state.at == [each.timestamp() for each in at]
    assert state.minimum == state.maximum == state.mean == state.last == [None, 214584.0, None]
    assert state.texts == [(at[0].timestamp(), "Recording"), (at[2].timestamp(), "Infinity")]
    assert (unknown.name, unknown.at, unknown.count) == ("nobody", [], [])


def test_where_samples_are_gone_their_minutes_are_drawn(arcs: Instrument) -> None:
    key = series(arcs, "PV")
    long_ago = floor(NOW - 100 * DAY, HOUR)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO dasmon_minute VALUES (%s, 1, 3, 2, 1, %s, 60)", [long_ago, key])
    rollups.roll_up(NOW)
    (envelope,) = pv_series(["PV"], long_ago - 5 * MINUTE, long_ago + 5 * MINUTE)
    assert (envelope.level, envelope.at) == ("minute", [long_ago.timestamp()])
    assert (envelope.minimum, envelope.maximum, envelope.count) == ([1.0], [3.0], [60])


def test_any_number_of_names_is_asked_in_four_statements(
    arcs: Instrument, samples: list[Sample]
) -> None:
    with CaptureQueriesContext(connection) as queries:
        pv_series([*NAMES, "nobody"], NOW - HOUR / 2, NOW, 60)
    assert len(queries) <= 4


def latest(instrument: Instrument, name: str, kind: Kind = Kind.PV, **known: object) -> None:
    made = Series.objects.create(instrument=instrument, name=name, kind=kind.value, unit="K")
    Latest.objects.create(series=made, at=NOW, received_at=NOW, **known)


def test_names_and_newest_values_are_found(arcs: Instrument) -> None:
    other = Instrument.objects.create(name="cncs")
    latest(arcs, "BL18:Temp", value=214584.0, status=0)
    latest(arcs, "temperature", Kind.STATUS_VALUE, text="3.03988e+10", value=3.03988e10)
    latest(other, "BL5:Temp", value=1.0)
    MonitoredPv.objects.create(instrument=arcs, name="BL18:Later", position=1)
    MonitoredPv.objects.create(instrument=arcs, name="BL18:Temp", position=2, rule_name="hot")
    values = latest_values(arcs)
    assert [(each.name, each.shown) for each in values] == [
        ("BL18:Temp", "214584"),
        ("temperature", "3.03988e+10"),
    ]
    assert values[0] == LatestValue("BL18:Temp", Kind.PV, 214584.0, None, 0, NOW, NOW, "K")
    assert latest_values(arcs, Kind.STATUS_VALUE) == values[1:]
    assert latest_values(arcs, names=["BL18:Temp"]) == values[:1]
    later, temperature = monitored_pvs(arcs)
    assert (later.name, later.latest) == ("BL18:Later", None)
    assert (temperature.rule_name, temperature.latest) == ("hot", values[0])
    assert [each.name for each in known_names(arcs, "TEMP")] == ["temperature", "BL18:Temp"]
    assert [each.name for each in known_names(arcs, "", limit=1)] == ["BL18:Temp"]


def test_gaps_are_those_of_the_instrument_and_of_all(arcs: Instrument) -> None:
    other = Instrument.objects.create(name="cncs")
    made: Sequence[Gap] = [
        Gap.objects.create(instrument=who, began_at=at, ended_at=at + MINUTE, reason="dead")
        for who, at in ((None, NOW), (arcs, NOW - HOUR), (other, NOW), (arcs, NOW - DAY))
    ]
    assert gaps(arcs, NOW - HOUR, NOW + HOUR) == [made[1], made[0]]


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        (214584.0, None, "214584"),
        (2.5, None, "2.5"),
        (1 / 3, None, "0.333333"),
        (1e22, None, "1e+22"),
        (math.nan, None, "nan"),
        (1.0, "True", "True"),
        (None, "", ""),
    ],
)
def test_a_value_is_shown_with_all_digits_that_matter(
    value: float | None, text: str | None, shown: str
) -> None:
    found = LatestValue("PV", Kind.PV, value, text, 0, NOW, NOW, "")
    assert found.shown == shown
