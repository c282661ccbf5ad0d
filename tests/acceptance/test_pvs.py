"""A year of eight PVs at 1 Hz in a real browser: drawn, zoomed to a minute and back, live."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.pv_zoom import INSTRUMENT, MOST_POINTS, NAMES, year_of_values, zoomed_and_back
from demo.processes import Plan
from tests.acceptance.test_pages import Watched
from tests.browser import log_in_page

ADDRESS = f"/pvmon/{INSTRUMENT}/"
FIRST, SECOND = NAMES[:2]


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    with year_of_values() as plan:
        yield plan


@pytest.fixture
def page(browser: Browser, plan: Plan) -> Iterator[Page]:
    """A page of a person who is logged in, and that does nothing it should not."""
    # Times are the facility's wherever the reader is.
    context = browser.new_context(
        viewport={"width": 1280, "height": 1000}, timezone_id="Asia/Tokyo"
    )
    page = context.new_page()
    watched = Watched(page, plan.web_url)
    log_in_page(page, plan.web_url, "admin", plan.secrets.people["admin"])
    yield page
    context.close()
    assert watched.complaints == []


def open_page(page: Page, plan: Plan, query: str) -> None:
    page.goto(f"{plan.web_url}{ADDRESS}?{query}")
    expect(page.locator("#explorer")).to_have_attribute("data-shown", f"?{query}")


def await_drawn(page: Page, curves: int) -> None:
    expect(page.locator("#statistics tbody tr")).to_have_count(curves)
    expect(page.locator("#explorer")).to_have_attribute(
        "data-shown", page.evaluate("location.search")
    )


def test_a_year_is_zoomed_to_a_minute_and_back(page: Page, plan: Plan, screenshots: Path) -> None:
    steps = {step.what: step for step in zoomed_and_back(page, plan.web_url)}
    page.screenshot(path=screenshots / "pv-year.png")
    for step in steps.values():
        assert step.drawn == len(NAMES), step
        assert 50 < step.points <= MOST_POINTS, step
        assert step.shown == pytest.approx(step.length, abs=0.01), step
        assert step.off == pytest.approx(0, abs=0.01), step
        assert step.milliseconds > 0, step
    assert steps["a year"].levels == {"hour"}
    minute = steps["zoom 4"]
    assert minute.levels == {"raw"} and 40 < minute.length < 90
    # One sample each second, each of them drawn.
    assert minute.points == pytest.approx(minute.length, abs=1.5)
    lengths = [step.length for step in steps.values()]
    assert lengths[5:] == [lengths[3], lengths[2], lengths[1], pytest.approx(lengths[0])]


def test_values_are_chosen_by_keyboard_and_everything_is_in_the_address(
    page: Page, plan: Plan
) -> None:
    open_page(page, plan, "range=1d")
    page.fill("#pick", FIRST[:-1].lower())
    expect(page.locator("#suggestions [role=option]").first).to_have_text(FIRST)
    page.press("#pick", "ArrowDown")
    page.press("#pick", "Enter")
    await_drawn(page, 1)
    page.locator(f"[data-choose='{SECOND}']").click()
    await_drawn(page, 2)
    expect(page.locator("#chips li span")).to_have_text([FIRST, SECOND])
    page.get_by_role("link", name="1 week").click()
    await_drawn(page, 2)
    assert "range=1w" in page.url
    page.get_by_role("button", name=f"Take {FIRST} away").click()
    await_drawn(page, 1)
    page.go_back()
    await_drawn(page, 2)
    page.go_back()
    await_drawn(page, 2)
    assert "range=1d" in page.url
    page.reload()
    await_drawn(page, 2)
    rule = page.get_by_role("link", name=f"Make an alarm rule for {SECOND}")
    assert "name=BL18%3ASE%3AField" in str(rule.get_attribute("href"))


def test_a_copied_link_means_the_same_time_for_ever(page: Page, plan: Plan) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, plan, f"pv={FIRST}&range=1h")
    await_drawn(page, 1)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "range" not in link and "from=" in link and "&to=" in link
    page.goto(link)
    await_drawn(page, 1)
    expect(page.locator("#shown-range")).not_to_contain_text("now")


def test_an_open_end_grows_as_values_come(page: Page, plan: Plan) -> None:
    open_page(page, plan, f"pv={FIRST}&range=15m")
    await_drawn(page, 1)
    page.wait_for_selector("html[data-connected]")
    page.evaluate("window.wasNotReloaded = true")
    samples = page.locator("#statistics td[data-name=Maximum]")
    before = samples.inner_text()
    store(plan, FIRST, 98765.0)
    expect(samples).to_have_text("98765")
    assert before != "98765"
    assert page.evaluate("window.wasNotReloaded === true")
    # A zoom is a closed range: what comes meanwhile does not move it.
    page.get_by_role("button", name="Zoom in").click()
    await_drawn(page, 1)
    assert "&to=" in page.url


def store(plan: Plan, name: str, value: float) -> None:
    """As the listener does when a value comes."""
    at = datetime.now(UTC)
    with psycopg.connect(plan.postgres.url) as connection:
        connection.execute(
            "INSERT INTO dasmon_sample (series_id, at, value)"
            " SELECT id, %(at)s, %(value)s FROM dasmon_series WHERE name = %(name)s",
            {"at": at, "value": value, "name": name},
        )
        connection.execute("SELECT pg_notify('webmon', %s)", [f"values {INSTRUMENT}"])


def test_texts_runs_and_gaps_are_told(page: Page, plan: Plan, screenshots: Path) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(plan.postgres.url) as connection:
        for statement in _STORY:
            connection.execute(
                statement,
                {"instrument": INSTRUMENT, "now": now, "hour": timedelta(hours=1)},
            )
    open_page(page, plan, f"pv={FIRST}&pv=BL18:Sample&range=8h")
    await_drawn(page, 2)
    expect(page.locator("#changes tbody tr")).to_have_count(2)
    expect(page.locator("#changes tbody tr").first).to_contain_text("Fe<3> & Co")
    expect(page.locator("#gaps li")).to_contain_text("too many came, 1,234 values lost")
    expect(page.locator("#under .gap")).to_be_visible()
    page.screenshot(path=screenshots / "pv-story.png")
    for width, height in ((360, 740), (1280, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#data summary").click()
    expect(page.locator("#data-tables caption")).to_contain_text(FIRST)
    run = page.get_by_role("link", name="run 77, IPTS-1, acquiring")
    run.click()
    page.wait_for_url(f"**/report/{INSTRUMENT}/77/")


_STORY = (
    "INSERT INTO dasmon_series (instrument_id, kind, name)"
    " SELECT id, 0, 'BL18:Sample' FROM workflow_instrument WHERE name = %(instrument)s",
    "INSERT INTO dasmon_sample (series_id, at, text)"
    " SELECT s.id, %(now)s::timestamptz - back * %(hour)s::interval, text"
    " FROM dasmon_series AS s, (VALUES (4, 'empty'), (3, 'empty'), (2, 'Fe<3> & Co'))"
    "   AS told (back, text) WHERE s.name = 'BL18:Sample'",
    "INSERT INTO dasmon_latest (series_id, at, received_at, text)"
    " SELECT id, %(now)s::timestamptz - 2 * %(hour)s::interval, %(now)s, 'Fe<3> & Co'"
    " FROM dasmon_series WHERE name = 'BL18:Sample'",
    "INSERT INTO dasmon_gap (instrument_id, began_at, ended_at, lost, reason)"
    " SELECT id, %(now)s::timestamptz - 2 * %(hour)s::interval, %(now)s - %(hour)s::interval,"
    "   1234, 'too many came'"
    " FROM workflow_instrument WHERE name = %(instrument)s",
    "INSERT INTO workflow_proposal (name) VALUES ('IPTS-1')",
    "INSERT INTO workflow_run (instrument_id, proposal_id, number, data_file, created_at,"
    "   cataloguing, reduction, reduction_cataloguing)"
    " SELECT i.id, p.id, 77, '', %(now)s - %(hour)s::interval, 0, 0, 0"
    " FROM workflow_instrument AS i, workflow_proposal AS p"
    " WHERE i.name = %(instrument)s AND p.name = 'IPTS-1'",
)
