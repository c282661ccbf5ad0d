"""The facility's home and a run page in a real browser, while things happen."""

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from tests.browser import log_in_page
from tests.facility import Facility
from tests.unit.webmon.test_durations import SPOKEN

DATA_READY = "/queue/POSTPROCESS.DATA_READY"
_numbers = itertools.count(700)


def message(instrument: str, number: int, **more: str) -> dict[str, str]:
    file = f"/SNS/{instrument}/IPTS-42/nexus/{instrument}_{number}.nxs.h5"
    return {
        "facility": "SNS",
        "instrument": instrument,
        "ipts": "IPTS-42",
        "run_number": str(number),
        "data_file": file,
        **more,
    }


def report(instrument: str, number: int, **more: str) -> dict[str, str]:
    return message(instrument, number, information="node7", **more)


class Watched:
    """Everything that a page should not do."""

    def __init__(self, page: Page, web: str) -> None:
        self.complaints: list[str] = []
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._note_request(request.url, web))

    def _note_console(self, said: Any) -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(f"{said.type}: {said.text}")

    def _note_request(self, url: str, web: str) -> None:
        if not url.startswith((web, "data:", "blob:")):
            self.complaints.append(f"request to {url}")


@pytest.fixture
def watched(page: Page, facility: Facility) -> Iterator[Watched]:
    """Violations of the content security policy arrive on the console too."""
    watched = Watched(page, facility.endpoints.web)
    yield watched
    assert watched.complaints == []


@pytest.fixture
def run(facility: Facility) -> int:
    """A run whose reduction is under way on an agent that only this test plays."""
    number = next(_numbers)
    facility.send("/queue/REDUCTION.STARTED", report("SEQ", number))
    assert facility.await_true(lambda: bool(_rows(facility, "seq", number)), 20)
    return number


def _rows(facility: Facility, instrument: str, number: int) -> list[tuple[Any, ...]]:
    return facility.query(
        "SELECT r.id FROM workflow_run r JOIN workflow_instrument i ON i.id = r.instrument_id"
        " WHERE i.name = %s AND r.number = %s",
        instrument,
        number,
    )


def mark(page: Page) -> None:
    """A mark that a reload would remove."""
    page.evaluate("window.wasNotReloaded = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.wasNotReloaded === true"))


def await_stream(page: Page) -> None:
    page.wait_for_selector("html[data-connected]")


def test_home_changes_by_itself(
    page: Page, facility: Facility, run: int, watched: Watched, screenshots: Path
) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    await_stream(page)
    mark(page)
    number = next(_numbers)
    facility.send("/queue/REDUCTION.STARTED", report("TOPAZ", number))
    expect(page.locator("#tile-topaz .tile-run .number")).to_have_text(str(number))
    expect(page.locator("#tile-topaz .state")).to_have_text("running")
    # The list does not jump: the new run waits until it is asked for.
    link = page.get_by_role("link", name=f"TOPAZ {number}")
    more = page.locator("#more")
    expect(more).to_contain_text("new run")
    expect(link).to_have_count(0)
    more.click()
    expect(link).to_be_visible()
    facility.send("/queue/REDUCTION.ERROR", report("TOPAZ", number, error="no vanadium"))
    expect(page.locator("#tile-topaz .state")).to_have_text("failed")
    expect(page.locator("tr", has=link).locator(".state")).to_have_text("failed")
    assert is_marked(page)
    page.screenshot(path=screenshots / "home.png")


def test_a_run_page_follows_its_run(
    page: Page, facility: Facility, run: int, watched: Watched, screenshots: Path
) -> None:
    page.goto(f"{facility.endpoints.web}/report/seq/{run}/")
    await_stream(page)
    expect(page.locator("#verdict")).to_contain_text("Reducing")
    page.locator("details summary").first.click()
    mark(page)
    error = "REDUCTION: <b>vanadium</b> is missing\nTraceback, second line"
    facility.send("/queue/REDUCTION.ERROR", report("SEQ", run, error=error))
    expect(page.locator("#verdict")).to_contain_text("Reduction failed")
    expect(page.locator("#verdict")).to_contain_text("<b>vanadium</b> is missing")
    expect(page.locator(".error pre")).to_contain_text("Traceback, second line")
    expect(page.locator("#events tr").first).to_contain_text("Reduction failed")
    expect(page.locator("details[open]")).to_have_count(1)
    assert is_marked(page)
    page.screenshot(path=screenshots / "run-failed.png")


def test_an_instrument_s_page_follows_its_values(
    page: Page, facility: Facility, run: int, watched: Watched, screenshots: Path
) -> None:
    def say(**values: object) -> None:
        facility.send("/topic/SNS.SEQ.APP.DASMON", {"src_id": "DASMON_0", **values})

    page.goto(f"{facility.endpoints.web}/dasmon/seq/")
    await_stream(page)
    mark(page)
    say(
        recording=True,
        paused=False,
        run_number=run,
        count_rate=9000,
        pulse_charge=23.1,
        pulse_freq=60,
    )
    expect(page.locator("#verdict")).to_contain_text(f"Recording · run {run}")
    page.locator("#others summary").click()
    page.fill("#filter", "pulse_f")
    expect(page.locator("#values tbody tr:visible")).to_have_count(1)
    say(recording=True, paused=True, count_rate=0, pulse_freq="<b>59</b>")
    expect(page.locator("#verdict")).to_contain_text("Paused")
    expect(page.locator("#number-count_rate strong")).to_have_text("0")
    expect(page.locator("#values tbody tr:visible")).to_contain_text("<b>59</b>")
    expect(page.locator("#filter")).to_be_focused()
    expect(page.locator("#values tbody tr:visible")).to_have_count(1)
    assert is_marked(page)
    page.screenshot(path=screenshots / "status.png")


PLOT = """{"data": [{"type": "scatter", "name": "I(Q)", "x": [1, 2, 3], "y": [%d, 5, 2]}],
 "layout": {"title": {"text": "I"}, "xaxis": {"title": {"text": "Q"}}}}"""


FIRST_VALUES = {1: 3, 2: 4}


def publish(facility: Facility, run: int, first: int) -> None:
    answer = facility.session("uploads").post(
        f"{facility.endpoints.web}/plots/SEQ/{run}/upload_plot_data/",
        data={
            "username": "uploads",
            "password": facility.endpoints.passwords["uploads"],
        },
        files={"file": (f"{run}.json", (PLOT % first).encode())},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text


def shows(page: Page, *, version: int) -> None:
    """Wait for a version of the plot; the first value of its curve tells it from the others."""
    expect(page.locator("#plot")).to_have_attribute("data-shown", str(version))
    first = page.evaluate("document.getElementById('plot').data[0].y[0]")
    assert first == FIRST_VALUES[version]


def test_a_plot_appears_and_keeps_its_zoom(
    page: Page, facility: Facility, run: int, watched: Watched, screenshots: Path
) -> None:
    page.goto(f"{facility.endpoints.web}/report/seq/{run}/")
    await_stream(page)
    expect(page.locator("#plot-none")).to_be_visible()
    mark(page)
    publish(facility, run, 3)
    shows(page, version=1)
    expect(page.locator("#plot .main-svg").first).to_be_visible()
    assert page.locator("#plot .main-svg").first.bounding_box()["width"] > 600  # type: ignore[index]
    expect(page.locator("#plot")).to_have_attribute("role", "img")
    expect(page.locator("#plot-summary")).to_contain_text("1 trace: I(Q)")
    page.evaluate("Plotly.relayout('plot', {'xaxis.range': [1.5, 2.5]})")
    publish(facility, run, 4)
    shows(page, version=2)
    assert page.evaluate("document.getElementById('plot').layout.xaxis.range") == [1.5, 2.5]
    expect(page.locator("#version")).to_contain_text("version 2 of 2")
    page.locator("#version-older").click()
    shows(page, version=1)
    assert is_marked(page)
    page.screenshot(path=screenshots / "run-plot.png")


GATED = """
import sys, time
from pathlib import Path
while not Path(%r).exists():
    time.sleep(0.05)
if Path(%r).read_text() == "fail":
    raise RuntimeError("the vanadium is missing")
"""


@dataclass(frozen=True, slots=True)
class Gated:
    """A run whose reduction waits for a word, `go` or `fail`, and then ends at once."""

    number: int
    gate: Path

    def say(self, word: str) -> None:
        draft = self.gate.with_suffix(".draft")
        draft.write_text(word)
        draft.rename(self.gate)


@pytest.fixture
def gated(facility: Facility) -> Iterator[Gated]:
    number = next(_numbers)
    gated = Gated(number, facility.root / f"gate-{number}")
    facility.install("HYS", GATED % (str(gated.gate), str(gated.gate)))
    data = facility.root / "SNS/HYS/IPTS-42/nexus" / f"HYS_{number}.nxs.h5"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(b"data")
    facility.send(DATA_READY, message("HYS", number))
    assert facility.await_true(lambda: bool(_rows(facility, "hys", number)), 20)
    yield gated
    gated.say("go")


def attempt(page: Page, label: str, number: int = 1) -> Locator:
    """The newest row of the waterfall for an attempt at a step."""
    rows = page.locator("#attempts tr[id]", has=page.get_by_role("rowheader", name=label))
    return rows.filter(has_text=f"{label} {number}" if number > 1 else label).first


def drawn_until(row: Locator) -> float:
    """Where the running bar ends, in units of the axis."""
    bar = row.locator("rect.ran")
    return float(bar.get_attribute("x") or 0) + float(bar.get_attribute("width") or 0)


def test_the_waterfall_follows_a_reduction(
    page: Page, facility: Facility, gated: Gated, watched: Watched, screenshots: Path
) -> None:
    page.goto(f"{facility.endpoints.web}/report/hys/{gated.number}/")
    await_stream(page)
    reduction = attempt(page, "Reduction")
    expect(reduction).to_have_attribute("data-fate", "started", timeout=20_000)
    mark(page)
    expect(reduction.locator("[data-name=Ran] time.age")).to_be_visible()
    assert drawn_until(reduction) == pytest.approx(1000, abs=1)
    before = page.locator("#attempts .ends").first.inner_text()
    # The axis goes on by itself, although nothing is told meanwhile.
    expect(page.locator("#attempts .ends").first).not_to_have_text(before, timeout=10_000)
    gated.say("go")
    expect(reduction).to_have_attribute("data-fate", "done", timeout=20_000)
    expect(reduction.locator("[data-name=Ran]")).to_have_text(re.compile(r"\d s$"))
    expect(attempt(page, "Reduction cataloguing")).to_have_attribute("data-fate", "done")
    expect(reduction.locator("[data-name=Agent]")).not_to_have_text("\N{EN DASH}")
    assert is_marked(page)
    page.screenshot(path=screenshots / "waterfall.png", full_page=True)


def test_what_changes_while_a_part_is_read_is_read_too(
    page: Page, facility: Facility, run: int, watched: Watched
) -> None:
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held or not is_of_progress(route.request):
            route.continue_()
        else:
            held.append(route)

    def tell_of_change() -> None:
        page.evaluate(f"document.body.dispatchEvent(new CustomEvent('webmon:run-seq-{run}'))")

    # Nobody but we tells of changes.
    page.route("**/events/**", lambda route: route.fulfill(content_type="text/event-stream"))
    page.route("**/report/**", hold_first)
    page.goto(f"{facility.endpoints.web}/report/seq/{run}/")
    with page.expect_request(is_of_progress):
        tell_of_change()
    tell_of_change()
    with page.expect_request(is_of_progress):
        held[0].continue_()


def is_of_progress(request: Request) -> bool:
    return request.headers.get("hx-target") == "progress"


def test_a_page_whose_session_is_over_leads_to_the_log_in(
    page: Page, facility: Facility, run: int
) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    await_stream(page)
    page.context.clear_cookies()
    page.evaluate("document.body.dispatchEvent(new CustomEvent('webmon:instrument'))")
    page.wait_for_url("**/users/login?next=/dasmon/")


def test_a_click_reduces_again(
    browser: Browser, facility: Facility, gated: Gated, screenshots: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    watched = Watched(page, facility.endpoints.web)
    passwords = facility.endpoints.passwords
    log_in_page(page, facility.endpoints.web, "scientist", passwords["scientist"])
    page.goto(f"{facility.endpoints.web}/report/hys/{gated.number}/")
    await_stream(page)
    gated.say("fail")
    first = attempt(page, "Reduction")
    expect(first).to_have_attribute("data-fate", "failed", timeout=20_000)
    first.locator("summary").click()
    expect(first.locator("pre")).to_contain_text("the vanadium is missing")
    with page.expect_response(
        lambda answer: "attempts" in answer.request.headers.get("hx-target", "")
    ):
        facility.send("/queue/POSTPROCESS.INFO", report("HYS", gated.number))
    # What a person has opened stays open when the rows are read again.
    expect(page.locator("#events")).to_contain_text("Note")
    expect(first.locator("pre")).to_be_visible()
    gated.say("go")
    page.get_by_role("link", name="Reduce again").click()
    expect(page.locator(".question .verdict")).to_contain_text("Reduction failed")
    page.get_by_label("Reason").fill("The vanadium is there")
    page.get_by_role("button", name="Reduce again").click()
    page.wait_for_url(f"**/report/hys/{gated.number}/#attempts-title")
    second = attempt(page, "Reduction", 2)
    expect(second).to_contain_text("Asked for by scientist: The vanadium is there")
    expect(second).to_have_attribute("data-fate", "done", timeout=20_000)
    expect(page.locator("#verdict")).to_contain_text("Reduced in", timeout=20_000)
    page.screenshot(path=screenshots / "reduced-again.png", full_page=True)
    log = (facility.root.parent / "logs" / "web.log").read_text(encoding="utf-8")
    assert f"scientist asked for reduce of HYS {gated.number}: 'The vanadium is there'" in log
    assert watched.complaints == []
    context.close()


# With what is long in a facility; the runs of the tests are new and have short names.
RUNS_BEYOND_THEIR_FRAME = """() => {
    const table = document.querySelector(".runs");
    const say = (what, words) =>
        table?.querySelectorAll(what).forEach((each) => (each.textContent = words));
    say("time.age", "23\\u00a0h 59\\u00a0min");
    say(".inst", "HYSPECLONG");
    say(".number", "21459712");
    say(".state", "\\u25c9 acquiring");
    return table ? table.scrollWidth - table.parentElement.clientWidth : 0;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_a_phone_in_both_themes(
    theme: Any, browser: Browser, facility: Facility, run: int, screenshots: Path
) -> None:
    publish(facility, run, 3)
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=theme)
    page = context.new_page()
    passwords = facility.endpoints.passwords
    log_in_page(page, facility.endpoints.web, "admin", passwords["admin"])
    live = ("/dasmon/", "/report/seq/", f"/report/seq/{run}/", "/system/rejected/", "/system/")
    still = (
        f"/report/seq/{run}/reduce/",
        "/system/batches/new/?instrument=seq",
        "/alarms/rules/new/",
    )
    for place, address in enumerate((*live, "/alarms/", "/system/batches/", *still)):
        page.goto(facility.endpoints.web + address)
        if address not in still:
            await_stream(page)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
        assert page.evaluate(RUNS_BEYOND_THEIR_FRAME) <= 0, address
        page.screenshot(path=screenshots / f"phone-{theme}-{place}.png")
    brightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((a, b) => a + +b, 0)"
    )
    assert (brightness < 3 * 60) == (theme == "dark")
    context.close()


def test_the_theme_can_be_chosen(page: Page, facility: Facility, watched: Watched) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    button = page.locator("#theme")
    button.click()
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    button.click()
    assert page.locator("html").get_attribute("data-theme") is None


def test_slash_leads_to_the_search(
    page: Page, facility: Facility, run: int, watched: Watched
) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    page.keyboard.press("/")
    page.keyboard.type(f"seq {run}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/report/seq/{run}/")


def test_the_browser_says_ages_as_the_server_does(
    page: Page, facility: Facility, watched: Watched
) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    source = page.evaluate(
        "import('/static/ui/ages.js').then((ages) => %s.map(ages.ageWords))"
        % [seconds for seconds, _, _ in SPOKEN]
    )
    assert source == [age for _, _, age in SPOKEN]


def test_a_frozen_page_says_so(page: Page, facility: Facility) -> None:
    page.goto(f"{facility.endpoints.web}/dasmon/")
    await_stream(page)
    page.context.set_offline(True)
    facility.kill("web")
    expect(page.locator("#connection")).to_contain_text("data as of", timeout=20_000)
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_be_hidden(timeout=30_000)


def test_scripts_are_sent_compressed_and_kept(page: Page, facility: Facility, run: int) -> None:
    page.goto(f"{facility.endpoints.web}/report/seq/{run}/")
    address = page.locator("script[src*=plotly]").get_attribute("src")
    answer = page.request.get(
        f"{facility.endpoints.web}{address}", headers={"Accept-Encoding": "gzip"}
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert int(answer.headers["content-length"]) < 2_000_000


def test_pages_come_back_after_the_database(facility: Facility) -> None:
    web = f"{facility.endpoints.web}/dasmon/"
    with facility.session() as session:
        keys = {"key": "instrument *"}
        streams = [
            session.get(f"{facility.endpoints.web}/events/", params=keys, stream=True, timeout=20)
            for _ in range(20)
        ]
        assert {stream.status_code for stream in streams} == {200}
        assert session.get(web, timeout=20).status_code == 200
        for stream in streams:
            stream.close()
        facility.kill("database")
        answers = [session.get(web, timeout=20)]
        deadline = time.monotonic() + 20
        while answers[-1].status_code != 200 and time.monotonic() < deadline:
            answers.append(session.get(web, timeout=20))
    assert answers[-1].status_code == 200
    assert all("database does not answer" in answer.text for answer in answers[:-1])
    assert {answer.status_code for answer in answers} <= {200, 503}
