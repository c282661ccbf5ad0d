"""A year of eight PVs at 1 Hz, zoomed to one minute and back by mouse in a real browser.

Each step is timed by the server itself (`Server-Timing`), with nobody else in the way. The limit
beside it is the shortest step: the same question with almost nothing to read.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import psycopg
from playwright.sync_api import Page, Response, sync_playwright

from benchmarks import year
from benchmarks.pages import web_alone
from benchmarks.result import Result
from demo.processes import Plan
from tests.browser import launch, log_in_page

INSTRUMENT = "bench"
NAMES = [
    f"BL18:SE:{what}" for what in ("Temp", "Field", "Load", "Flow", "Phase", "Speed", "X", "Y")
]
MOST_POINTS = 2000

_YEAR, _MINUTE = 365 * 86_400.0, 60.0
_DRAGS = 4
_ALLOWED = 150.0  # milliseconds
_WAIT = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """What the server answered to one step, and what the browser made of it.

    `milliseconds` are the server's, `length` seconds, `points` those of the longest curve.
    `drawn` is how many curves there are in the plot; its axis has `shown` seconds, and begins
    `off` seconds from where it should by the clock of the facility.
    """

    what: str
    milliseconds: float
    length: float
    levels: frozenset[str]
    points: int
    drawn: int
    shown: float
    off: float


def measure() -> list[Result]:
    """Milliseconds of the server for each step from a year to a minute and back."""
    with year_of_values() as plan, sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        log_in_page(page, plan.web_url, "user", plan.secrets.people["user"])
        # What the process and the database do only once is not what a person waits for.
        list(zoomed_and_back(page, plan.web_url))
        steps = list(zoomed_and_back(page, plan.web_url))
        browser.close()
    shortest = min(step.milliseconds for step in steps)
    return [_result(step, shortest) for step in steps]


def _result(step: Step, shortest: float) -> Result:
    return Result(
        bar="P8",
        what=f"{step.what}, {len(NAMES)} PVs, {step.points} points of {'/'.join(step.levels)}",
        ours=step.milliseconds,
        limit=shortest,
        unit="ms",
        lost=len(NAMES) - step.drawn,
        needed=_ALLOWED,
        is_better="lower",
    )


@contextmanager
def year_of_values() -> Iterator[Plan]:
    """A database with the year, its last day as samples, and one web process."""
    with web_alone(_fill) as plan:
        yield plan


def _fill(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        year.generate(connection, INSTRUMENT, NAMES, datetime.now(UTC), 1)


def zoomed_and_back(page: Page, web: str) -> Iterator[Step]:
    """Open a year, drag until a minute is left, and go back out as a person may: each a step."""
    query = urlencode([*(("pv", name) for name in NAMES), ("range", "1y")])
    yield _step(page, "a year", lambda: page.goto(f"{web}/pvmon/{INSTRUMENT}/?{query}"))
    share = (_MINUTE / _YEAR) ** (1 / _DRAGS)
    # To the newest time, of which samples are kept, and then to a minute of that.
    for number, end in enumerate((1.02, 1.02, 0.5, 0.5), 1):
        yield _step(page, f"zoom {number}", partial(_drag, page, share, end))
    yield _step(page, "double click", lambda: _double_click(page))
    yield _step(page, "button", page.locator("#back-out").click)
    yield _step(page, "Back", page.go_back)
    yield _step(page, "the year again", page.go_back)


def _drag(page: Page, share: float, end: float) -> None:
    """Over a share of the time; beyond the end of the plot (1) is up to it."""
    left, top, width, height = _plot_area(page)
    middle, begin = top + height / 2, left + (min(end, 1) - share) * width
    page.mouse.move(begin, middle)
    page.mouse.down()
    page.mouse.move(begin + 10, middle)
    page.mouse.move(left + end * width, middle)
    page.mouse.up()


def _double_click(page: Page) -> None:
    left, top, width, height = _plot_area(page)
    page.mouse.dblclick(left + width / 2, top + height / 2)


def _plot_area(page: Page) -> tuple[float, float, float, float]:
    """The first panel: where it begins, its width and height in pixels of the window."""
    page.locator("#plot").scroll_into_view_if_needed()
    box = page.locator("#plot .nsewdrag").first.bounding_box()
    if box is None:
        raise RuntimeError("The plot is not on the screen.")
    return box["x"], box["y"], box["width"], box["height"]


def _step(page: Page, what: str, act: Callable[[], Any]) -> Step:
    with page.expect_response(_is_whole, timeout=_WAIT) as told:
        act()
    answer = told.value
    value = answer.json()
    page.wait_for_function(_IS_DRAWN, arg=[value["from"], value["to"]], timeout=_WAIT)
    begin, end = page.evaluate(_AXIS)
    return Step(
        what=what,
        milliseconds=server_time(answer),
        length=value["to"] - value["from"],
        levels=frozenset(each["level"] for each in value["series"]),
        points=max(len(each["at"]) for each in value["series"]),
        drawn=page.locator(_MEANS).count(),
        shown=end - begin,
        off=begin - value["from"] - value["offset"],
    )


_IS_DRAWN = """([from, to]) =>
  document.getElementById("explorer").dataset.drawn === `${from} ${to}`
"""
_MEANS = '#plot .scatterlayer .trace:has(path.js-line[style*="stroke-width: 1.6px"])'
# As if the times on the axis were those of UTC, in seconds.
_AXIS = """() =>
  document.getElementById("plot").layout.xaxis.range.map((at) => Date.parse(`${at}Z`) / 1000)
"""


def _is_whole(answer: Response) -> bool:
    """Whether a whole range was answered, not only what is new of it."""
    return "/series/" in answer.url and "points=300" not in answer.url


def server_time(answer: Response) -> float:
    """Milliseconds in the server, as it told them."""
    told = re.search(r"total;dur=([\d.]+)", answer.headers["server-timing"])
    if told is None:
        raise RuntimeError(f"No total in {answer.headers['server-timing']!r}")
    return float(told[1])
