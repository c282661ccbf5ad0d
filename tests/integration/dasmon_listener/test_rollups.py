"""Minutes and hours are what brute force finds, whatever came when and however often it is done."""

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from dasmon_listener import rollups
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
from workflow_manager.models import Instrument

NOW = floor(datetime.now(UTC), HOUR)
PASSES = 240
# Not both signs: what is left of their sum is chance.
EXTREMES = (math.nan, math.inf, -math.inf, 1.7e308, 5e-324, 0.0, -0.0)


@pytest.fixture(autouse=True)
def _only_what_is_written_here(db: None) -> Iterator[None]:
    forget_all()
    yield
    forget_all()


@pytest.fixture
def arcs(db: None) -> Instrument:
    return Instrument.objects.create(name="arcs", facility="SNS")


def random_samples(keys: Sequence[int], dice: random.Random) -> list[Sample]:
    """Four hours of samples, some of which come late, ahead of time, or are no numbers."""
    begin = NOW - 4 * HOUR
    return [random_sample(dice.choice(keys), begin, dice) for _ in range(4000)]


def random_sample(key: int, begin: datetime, dice: random.Random) -> Sample:
    received_at = begin + dice.random() * 4 * HOUR
    delay = dice.choices(
        (dice.random() * 2, -dice.random() * 60, dice.random() * 5000), weights=(90, 3, 7)
    )[0]
    at = received_at - timedelta(seconds=delay)
    if dice.random() < 0.05:
        return Sample(at, received_at, None, key, "Recording")
    value = dice.choice(EXTREMES) if dice.random() < 0.02 else dice.gauss(300, 20)
    return Sample(at, received_at, value, key)


def wanted(samples: Sequence[Sample], before: datetime) -> None:
    """The tables hold what these samples make, up to this time."""
    minutes = minutes_of(samples, before)
    assert_same(stored("dasmon_minute"), minutes)
    assert_same(stored("dasmon_hour"), combined(minutes, HOUR, before))


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_they_are_exact_whatever_comes_late_ahead_or_is_no_number(
    arcs: Instrument, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311
    keys = [series(arcs, f"PV{number}") for number in range(4)]
    samples = random_samples(keys, dice)
    # When a transaction committed what was received: at once, or minutes later.
    visible_at = {
        sample: sample.received_at + timedelta(seconds=dice.choice((0.2, 1, 5, 150)))
        for sample in samples
    }
    written: set[Sample] = set()
    for minute in range(1, PASSES + 1):
        now = NOW - 4 * HOUR + minute * MINUTE + timedelta(seconds=dice.random() * 20)
        fresh = {each for each in samples if visible_at[each] <= now} - written
        write(fresh)
        written |= fresh
        if dice.random() < 0.8:  # now and then nobody has time for a minute
            rollups.roll_up(now)
    done = NOW + 10 * MINUTE
    write(set(samples) - written)
    rollups.roll_up(NOW + 3 * MINUTE)
    final = rollups.roll_up(done)
    assert final is not None
    wanted(samples, final.received_before)


@pytest.mark.django_db
def test_a_second_pass_over_the_same_writes_nothing(arcs: Instrument) -> None:
    key = series(arcs, "PV")
    write(Sample(NOW - HOUR + n * MINUTE / 7, NOW - HOUR, float(n), key) for n in range(200))
    first = rollups.roll_up(NOW)
    assert first is not None and first.minutes == 29
    second = rollups.roll_up(NOW + MINUTE)
    assert second is not None and (second.minutes, second.hours) == (0, 1)
    assert rollups.roll_up(NOW) is None, "what is rolled up is not taken back"


@pytest.mark.django_db
def test_a_pass_that_dies_leaves_nothing_and_the_next_one_does_it(arcs: Instrument) -> None:
    key = series(arcs, "PV")
    samples = [Sample(NOW - n * MINUTE / 4, NOW - n * MINUTE / 4, n, key) for n in range(900)]
    write(samples)
    rollups.roll_up(NOW - HOUR)
    before = stored("dasmon_minute"), stored("dasmon_hour")
    with pytest.raises(ConnectionAbortedError), transaction.atomic():
        rollups.roll_up(NOW)
        raise ConnectionAbortedError
    assert (stored("dasmon_minute"), stored("dasmon_hour")) == before
    rollups.roll_up(NOW)
    wanted(samples, NOW - timedelta(seconds=10))


@pytest.mark.django_db(transaction=True)
def test_one_process_does_it_at_a_time() -> None:
    key = series(Instrument.objects.create(name="arcs"), "PV")
    samples = [Sample(NOW - n * MINUTE / 9, NOW - n * MINUTE / 9, n, key) for n in range(3000)]
    write(samples)
    with transaction.atomic():
        assert rollups.roll_up(NOW) is not None
        others = in_threads(lambda: rollups.roll_up(NOW + MINUTE), times=1)
        assert others == [None], "another one waits for nobody"
    found = in_threads(lambda: rollups.roll_up(NOW + 5 * MINUTE), times=3)
    assert len([each for each in found if each is not None]) == 1
    wanted(samples, NOW + 4 * MINUTE)


@pytest.mark.django_db
def test_what_comes_late_for_days_that_are_gone_harms_no_minute(arcs: Instrument) -> None:
    key = series(arcs, "PV")
    long_ago = NOW - 30 * DAY
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO dasmon_minute VALUES (%s, 1, 3, 2, 1, %s, 60)", [long_ago, key])
    rollups.roll_up(NOW - MINUTE)
    write([Sample(long_ago, NOW - MINUTE, 99.0, key)])
    rollups.roll_up(NOW + MINUTE)
    assert [row.size for row in stored("dasmon_minute").values()] == [60]


@pytest.mark.django_db
def test_a_command_writes_days_anew(arcs: Instrument) -> None:
    key = series(arcs, "PV")
    samples = [Sample(NOW - n * MINUTE, NOW - n * MINUTE, float(n), key) for n in range(1, 300)]
    write(samples)
    rollups.roll_up(NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dasmon_minute SET maximum = 1e6, count = 1000")
        cursor.execute("UPDATE dasmon_hour SET minimum = -1e6")
        cursor.execute("DELETE FROM dasmon_sample WHERE value < 20")
    day = f"{NOW - DAY:%Y-%m-%d}"
    call_command("rebuild_rollups", "--from", day, "--to", f"{NOW + DAY:%Y-%m-%d}")
    wanted([each for each in samples if (each.value or 0) >= 20], NOW - MINUTE)
    assert ask("SELECT count(*) FROM dasmon_minute") == [(280,)]


def in_threads(work: Callable[[], object], times: int) -> list[object]:
    found: list[object] = []
    together = threading.Barrier(times)

    def run() -> None:
        together.wait()
        try:
            found.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
