"""The machine of a rule, along samples and the clock."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasmon_listener.domain.alarm_rules import (
    Condition,
    Machine,
    Rule,
    Sample,
    Turn,
    machine,
    message,
)

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ABOVE = Condition.ABOVE
NAN = math.nan


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def rule(condition: Condition, duration: float = 0, **limits: float) -> Rule:
    return Rule(condition, duration=timedelta(seconds=duration), **limits)


def turns(
    followed: Rule, samples: list[tuple[float, float | str | None]], until: float = 1e6
) -> list[tuple[float, bool]]:
    """Seconds and whether it is raised then."""
    follower = machine(followed)
    found = [turn for second, value in samples for turn in follower.feed(sample(second, value))]
    return [_seconds(turn) for turn in found + follower.pass_time(at(until))]


def sample(second: float, value: float | str | None) -> Sample:
    if isinstance(value, str):
        return Sample(at(second), None, value)
    return Sample(at(second), value)


def _seconds(turn: Turn) -> tuple[float, bool]:
    return ((turn.at - BEGIN).total_seconds(), turn.is_raised)


UP, DOWN = True, False
LAST = "2026-11-21 03:00:02 UTC"
HOT = rule(ABOVE, high=310, hysteresis=5)
COLD = rule(Condition.BELOW, low=4, hysteresis=1)
LASTING = rule(ABOVE, 30, high=310)


@pytest.mark.parametrize(
    ("followed", "samples", "expected"),
    [
        (HOT, [(0, 310), (1, 310.1), (2, 306), (3, 305)], [(1, UP), (3, DOWN)]),
        (HOT, [(0, math.inf), (1, NAN), (2, "off"), (3, None), (4, 0)], [(0, UP), (4, DOWN)]),
        (HOT, [(0, NAN), (1, "400"), (2, -math.inf)], []),
        (LASTING, [(0, 311), (29, 310), (30, 311), (59, 312), (61, 300)], [(60, UP), (61, DOWN)]),
        (LASTING, [(0, 311)], [(30, UP)]),
        (LASTING, [(0, 311), (10, NAN), (20, 311)], [(50, UP)]),
        (LASTING, [(0, 311), (30, 300)], [(30, UP), (30, DOWN)]),
        (LASTING, [(10, 300), (0, 311)], []),
        (COLD, [(0, 3), (1, 4), (2, 5)], [(0, UP), (2, DOWN)]),
        (
            rule(Condition.OUTSIDE, low=3, high=10, hysteresis=1),
            [(0, 3), (1, 2), (2, 11), (3, 9.5), (4, 9), (5, 11), (6, 4)],
            [(1, UP), (4, DOWN), (5, UP), (6, DOWN)],
        ),
        (
            rule(Condition.CHANGED, 10),
            [(0, 1), (5, 1), (6, 2), (15, "x"), (25, "x"), (26, NAN), (27, NAN)],
            [(6, UP), (25, DOWN), (26, UP), (36, DOWN)],
        ),
        (rule(Condition.CHANGED), [(0, 1), (5, 2)], [(5, UP), (6, DOWN)]),
        (rule(Condition.CHANGED, 1), [(0, 1), (1, 2), (2, 3), (3, 3)], [(1, UP), (3, DOWN)]),
        (
            rule(Condition.STALE, 10),
            [(0, 1), (10, 1), (25, 1), (26, NAN)],
            [(20, UP), (25, DOWN), (36, UP)],
        ),
        (rule(Condition.STALE, 10), [], []),
    ],
)  # fmt: skip
def test_turns(
    followed: Rule, samples: list[tuple[float, float | str | None]], expected: list[object]
) -> None:
    assert turns(followed, samples) == expected


def test_a_number_that_is_written_in_another_way_is_no_change() -> None:
    follower = machine(rule(Condition.CHANGED))
    follower.feed(Sample(at(0), 3.03988e10, None))
    assert follower.feed(Sample(at(1), 3.03988e10, "3.03988e+10")) == []


def test_an_alarm_that_was_raised_before_ends_as_one_of_ours() -> None:
    follower = machine(HOT, is_raised=True)
    assert follower.feed(sample(0, 307)) == []
    assert [turn.is_raised for turn in follower.feed(sample(1, 305))] == [False]
    follower = machine(rule(Condition.CHANGED, 5), is_raised=True)
    follower.start_anew(at(0))
    assert [_seconds(turn) for turn in follower.pass_time(at(9))] == [(5, DOWN)]


def test_a_pause_in_which_nobody_listened_counts_for_nothing() -> None:
    for followed in (LASTING, rule(Condition.STALE, 30)):
        follower = machine(followed)
        follower.feed(sample(0, 311))
        follower.start_anew(at(1000))
        assert follower.pass_time(at(1029.9)) == []
        assert [_seconds(turn) for turn in follower.pass_time(at(1031))] == [(1030, UP)]


def test_the_extreme_is_the_farthest_beyond_a_limit() -> None:
    follower = machine(rule(Condition.OUTSIDE, low=0, high=10, hysteresis=0))
    for second, value in enumerate([11.0, -5.0, 12.0, 5.0]):
        follower.feed(sample(second, value))
    assert follower.extreme == -5


@pytest.mark.parametrize(
    ("followed", "samples", "words"),
    [
        (HOT, [312.4], "T is above 310 (312.4)"),
        (rule(Condition.BELOW, low=-0.5), [-1.25], "T is below -0.5 (-1.25)"),
        (rule(Condition.OUTSIDE, low=3, high=10), [2], "T is out of range 3 to 10 (2)"),
        (rule(Condition.CHANGED), [3.5, "open"], "T changed from 3.5 to open"),
        (rule(Condition.STALE, 1), [1, 1, 1, 5], f"T is not updated since {LAST} (1)"),
    ],
)  # fmt: skip
def test_messages(followed: Rule, samples: list[float | str], words: str) -> None:
    follower = machine(followed)
    seconds = [0, 1, 2, 10] if followed.condition == Condition.STALE else range(2)
    found = [
        turn
        for second, value in zip(seconds, samples, strict=False)
        for turn in follower.feed(sample(second, value))
    ]
    assert message(followed, "T", found[0]) == words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (rule(ABOVE), "upper limit"),
        (rule(ABOVE, high=NAN), "upper limit"),
        (rule(Condition.BELOW, high=3), "lower limit"),
        (rule(Condition.OUTSIDE, low=3, high=3), "less than"),
        (rule(Condition.OUTSIDE, low=3, high=4, hysteresis=0.6), "never be over"),
        (rule(ABOVE, high=1, hysteresis=-1), "hysteresis"),
        (rule(ABOVE, -1, high=1), "negative"),
        (rule(Condition.STALE), "duration"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(wrong: Rule, words: str) -> None:
    assert words in wrong.complaint()


def test_a_good_rule_has_no_complaint() -> None:
    good = (HOT, LASTING, rule(Condition.CHANGED), rule(Condition.STALE, 1))
    assert [each.complaint() for each in good] == [""] * 4


values = st.one_of(
    st.integers(-3, 14).map(float), st.sampled_from([NAN, math.inf, None]), st.sampled_from("ab")
)
stories = st.lists(st.tuples(st.integers(0, 12), values), max_size=40)
rules = st.builds(
    Rule,
    st.sampled_from(list(Condition)),
    low=st.just(2.0),
    high=st.just(9.0),
    hysteresis=st.sampled_from([0.0, 1.0, 3.0]),
    duration=st.sampled_from([timedelta(seconds=seconds) for seconds in (1, 3, 10)]),
)


def _timed(story: list[tuple[int, float | str | None]]) -> list[Sample]:
    second, samples = 0, []
    for later, value in story:
        second += later
        samples.append(sample(second, value))
    return samples


def _follow(follower: Machine, samples: list[Sample], ticks: list[int]) -> list[Turn]:
    """Samples and ticks of the clock in the order of time; the clock may come first."""
    found = []
    waiting = sorted(ticks)
    for each in samples:
        while waiting and at(waiting[0]) <= each.at:
            found += follower.pass_time(at(waiting.pop(0)))
        found += follower.feed(each)
    return found + follower.pass_time(at(1000))


@given(rules, stories, st.lists(st.integers(0, 500)))
def test_how_often_the_clock_is_told_makes_no_difference(
    followed: Rule, story: list[tuple[int, float | str | None]], ticks: list[int]
) -> None:
    samples = _timed(story)
    told_often = _follow(machine(followed), samples, ticks)
    told_once = _follow(machine(followed), samples, [])
    assert list(map(repr, told_often)) == list(map(repr, told_once))


@given(rules, stories, st.randoms(use_true_random=False), st.lists(st.integers(0, 500)))
def test_turns_alternate_and_never_go_back_however_late_samples_come(
    followed: Rule,
    story: list[tuple[int, float | str | None]],
    shuffler: random.Random,
    ticks: list[int],
) -> None:
    samples = _timed(story)
    shuffler.shuffle(samples)
    follower = machine(followed)
    found = []
    for each, tick in zip(samples, [*ticks, *[0] * 40], strict=False):
        found += follower.pass_time(at(tick)) + follower.feed(each)
    assert [turn.is_raised for turn in found] == [number % 2 == 0 for number in range(len(found))]
    assert [turn.at for turn in found] == sorted(turn.at for turn in found)


@given(st.lists(st.floats(-20, 20), max_size=60), st.floats(0.1, 5))
def test_a_value_that_trembles_less_than_the_hysteresis_turns_nothing(
    wander: list[float], hysteresis: float
) -> None:
    """Between two turns the value went all the way through the hysteresis."""
    followed = rule(ABOVE, high=5, hysteresis=hysteresis)
    follower = machine(followed)
    for second, value in enumerate(wander):
        for turn in follower.feed(sample(second, value)):
            assert value > 5 if turn.is_raised else value <= 5 - hysteresis
