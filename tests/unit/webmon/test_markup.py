"""Tiles and rows are written without Django's templates: their addresses and letters are right."""

import dataclasses
import datetime as dt
import math
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from pytest_django import Settings

from dasmon_listener.domain.recording import Recording
from dasmon_listener.overview import Overview
from webmon.runs.markup import row_list, run_address, tile_list
from webmon.runs.pages import Bar, RunRow, Tile
from webmon.runs.verdict import StepFacts
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Phase, Step

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HOSTILE = "<script>alert(1)<script>\" onclick='x'{0}"
D, F, K = Phase.DONE, Phase.FAILED, Phase.SKIPPED


@pytest.fixture(autouse=True)
def _files_without_hashed_names(settings: Settings) -> None:
    """Hashed names need `collectstatic`, which the demo does and its tests cover."""
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}


class Elements(HTMLParser):
    """Which elements and attributes a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def row(reduction: Phase = D, instrument: str = "arcs", problem: str = "") -> RunRow:
    started = NOW - dt.timedelta(seconds=20)
    ended = started + dt.timedelta(seconds=12)
    facts = StepFacts(Step.REDUCTION, reduction, started_at=started, ended_at=ended)
    return RunRow(
        id=1,
        instrument=instrument,
        number=5,
        proposal="IPTS-1",
        state=RunState.DONE,
        steps=(StepFacts(Step.CATALOGUING, D), facts, StepFacts(Step.REDUCTION_CATALOGUING, D)),
        created_at=NOW - dt.timedelta(seconds=90),
        reduced_in=facts.ran,
        problem=problem,
    )


def tile(last: RunRow | None, **changes: object) -> Tile:
    made = Tile("arcs", "SNS", row(), last, None, 3, 0, tuple([Bar(NOW, 2, 1)] * 24), None, None)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("instrument", ["arcs", "ref_l", "a b", 'x"<y>', "é"])
def test_addresses_are_those_of_django(instrument: str) -> None:
    assert run_address(instrument, 5) == reverse("run", args=[instrument, 5])


def test_nothing_of_others_is_markup() -> None:
    hostile = dataclasses.replace(row(F, HOSTILE, HOSTILE), proposal=HOSTILE)
    reported = Overview(
        HOSTILE, HOSTILE, True, True, Recording.RECORDING, HOSTILE, math.inf, NOW, NOW
    )
    made = row_list([hostile], NOW) + tile_list(
        [tile(hostile, instrument=HOSTILE, facility=HOSTILE, run=hostile, reported=reported)], NOW
    )
    read = Elements()
    read.feed(made)
    assert "script" not in read.tags
    assert "onclick" not in read.attributes
    assert read.attributes >= {"href", "title"}
    assert "&lt;script&gt;" in made


@pytest.mark.parametrize(
    ("phase", "problem", "words"),
    [
        (D, "", "reduced in 12 s</p>"),
        (F, "no vanadium", 'failed</strong>: <span title="no vanadium">no vanadium</span></p>'),
        (F, "", "failed</strong></p>"),
        (K, "", '<span class="muted">not reduced</span></p>'),
    ],
)
def test_a_tile_says_how_the_last_reduction_ended(phase: Phase, problem: str, words: str) -> None:
    assert words in tile_list([tile(row(phase, problem=problem))], NOW)


def test_a_tile_before_the_first_reduction_says_so() -> None:
    assert "Nothing reduced yet" in tile_list([tile(None)], NOW)
    assert "failed" not in tile_list([tile(None)], NOW).split("tile-foot")[1].split("<svg")[0]
    assert '<strong class="bad">2</strong> failed' in tile_list([tile(None, failed_today=2)], NOW)


def test_an_instrument_without_runs_is_idle() -> None:
    assert 'data-state="idle"' in tile_list([tile(None, run=None)], NOW)
