"""Attempts on their axes: what is drawn where, and what is said of each."""

import datetime as dt
from typing import Any

import pytest

from webmon.runs.markup import AXIS, SHORTEST, attempt_bars
from webmon.runs.waterfall import PAUSE, Fate, Part, Stretch, waterfall
from workflow_manager.domain.steps import Phase
from workflow_manager.models import Job
from workflow_manager.selectors import FollowedJob

T0 = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)
NOW = T0 + dt.timedelta(hours=1)


def after(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def after_if(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else after(seconds)


def job(
    asked: float,
    sent: float | None = None,
    started: float | None = None,
    ended: float | None = None,
    *,
    phase: Phase = Phase.DONE,
    followed: float | None = None,
    **more: Any,
) -> FollowedJob:
    content = {"id": int(asked) + 1, "step": "reduction", "attempt": 1, "queue": "Q"} | more
    row = Job(
        phase=phase.value,
        requested_at=after(asked),
        sent_at=after_if(sent),
        started_at=after_if(started),
        ended_at=after_if(ended),
        **content,
    )
    return FollowedJob(row, after_if(followed))


def parts(followed: FollowedJob) -> list[tuple[str, float, float]]:
    """The bars of an attempt as part, begin and end in seconds after T0."""
    ((only,),) = [stretch.attempts for stretch in waterfall([followed], NOW).stretches]
    return [
        (bar.part.name, (bar.begins_at - T0).total_seconds(), (bar.ends_at - T0).total_seconds())
        for bar in only.bars
    ]


def fate(followed: FollowedJob) -> Fate:
    return waterfall([followed], NOW).stretches[0].attempts[0].fate


def test_a_whole_attempt_waits_here_then_for_an_agent_then_runs() -> None:
    assert parts(job(0, 1, 3, 10)) == [("HERE", 0, 1), ("FOR_AGENT", 1, 3), ("RUNNING", 3, 10)]


def test_what_is_held_waits_here_until_now() -> None:
    held = job(0, phase=Phase.REQUESTED, is_held=True)
    assert (fate(held), parts(held)) == (Fate.HELD, [("HERE", 0, 3600)])


def test_what_was_sent_waits_for_an_agent_until_now() -> None:
    sent = job(0, 2, phase=Phase.REQUESTED)
    assert parts(sent) == [("HERE", 0, 2), ("FOR_AGENT", 2, 3600)]


def test_what_runs_goes_on_until_now() -> None:
    running = job(0, 0, 3, phase=Phase.STARTED)
    assert (fate(running), parts(running)[-1]) == (Fate.STARTED, ("RUNNING", 3, 3600))
    assert waterfall([running], NOW).is_open


def test_an_attempt_that_lost_its_place_ends_where_the_next_began() -> None:
    lost = job(0, 0, 3, phase=Phase.STARTED, followed=60)
    assert (fate(lost), parts(lost)[-1]) == (Fate.SUPERSEDED, ("RUNNING", 3, 60))
    assert not waterfall([lost], NOW).is_open


def test_a_late_end_of_a_superseded_attempt_is_its_end() -> None:
    late = job(0, 0, 3, 90, followed=60)
    assert (fate(late), parts(late)[-1]) == (Fate.DONE, ("RUNNING", 3, 90))


def test_what_was_cancelled_never_left() -> None:
    cancelled = job(0, phase=Phase.REQUESTED, cancelled_at=after(30))
    assert (fate(cancelled), parts(cancelled)) == (Fate.CANCELLED, [("HERE", 0, 30)])
    only = waterfall([cancelled], NOW).stretches[0].attempts[0]
    assert only.held_for == dt.timedelta(seconds=30)


def test_what_a_route_leaves_out_has_no_bar() -> None:
    left_out = job(0, ended=0, phase=Phase.SKIPPED)
    assert (fate(left_out), parts(left_out)) == (Fate.SKIPPED, [])


def test_an_agent_that_could_not_begin_leaves_only_a_wait() -> None:
    assert parts(job(0, 1, None, 9, phase=Phase.FAILED))[-1] == ("FOR_AGENT", 1, 9)


@pytest.mark.parametrize(
    "followed",
    [job(10, 5, 3, 20), job(10, 30, 15, 12), job(10, 11, 12, 4), job(10, None, 12, 20)],
)
def test_clocks_that_disagree_draw_nothing_backwards(followed: FollowedJob) -> None:
    drawn = parts(followed)
    assert all(begin <= end for _, begin, end in drawn)
    assert [end for *_, end in drawn][:-1] == [begin for _, begin, _ in drawn][1:]
    assert drawn[0][1] == 10


def test_what_follows_closely_shares_an_axis_and_a_pause_begins_another() -> None:
    pause = PAUSE.total_seconds()
    year = 365 * 86400.0
    jobs = [
        job(0, 0, 1, 5),
        job(5 + pause, 6 + pause, 7 + pause, 8 + pause),
        job(9 + 2 * pause, ended=99, phase=Phase.SKIPPED),
        job(year, year, year + 1, year + 2),
    ]
    shown = waterfall(list(reversed(jobs)), T0 + dt.timedelta(days=400)).stretches
    assert [[each.id for each in stretch.attempts] for stretch in shown] == [
        [int(year) + 1],
        [int(9 + 2 * pause) + 1],
        [1, int(5 + pause) + 1],
    ]
    assert [stretch.lasts.total_seconds() for stretch in shown] == [2, 0, 8 + pause]


def test_the_shortest_run_can_be_seen_and_nothing_leaves_the_axis() -> None:
    jobs = [job(0, 0, 0, 3600), job(1, 3599.99, 3599.999, 3600, step="cataloguing")]
    (stretch,) = waterfall(jobs, NOW).stretches
    drawn = str(attempt_bars(stretch.attempts[1], stretch))
    assert f'x="{AXIS - SHORTEST}"' in drawn and f'width="{SHORTEST}"' in drawn
    assert 'class="for-agent"' in drawn or 'class="here"' in drawn


def test_an_axis_without_length_divides_by_nothing() -> None:
    (stretch,) = waterfall([job(0, 0, 0, 0)], NOW).stretches
    assert isinstance(stretch, Stretch)
    assert "nan" not in attempt_bars(stretch.attempts[0], stretch)


@pytest.mark.parametrize(
    ("requested_by", "words"),
    [
        ("POSTPROCESS.DATA_READY", "Run ended, data file complete"),
        ("REDUCTION.COMPLETE", "Reduction done"),
        ("SITE.ADDED_QUEUE", "After SITE.ADDED_QUEUE"),
        ("jdoe", "Asked for by jdoe"),
        ("recovery", "Sent again by itself"),
        ("", ""),
    ],
)
def test_who_asked_is_said_in_words(requested_by: str, words: str) -> None:
    followed = job(0, 0, 1, 2, requested_by=requested_by)
    assert waterfall([followed], NOW).stretches[0].attempts[0].asked == words


def test_every_part_is_said_in_words() -> None:
    assert [part.value for part in Part] == ["waiting here", "waiting for an agent", "running"]
