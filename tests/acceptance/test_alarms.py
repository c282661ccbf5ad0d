"""An alarm's whole way: from a signal of the data acquisition to the people who must know."""

import itertools
import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.test_pages import Watched, await_stream, is_marked, mark
from tests.browser import log_in_page
from tests.facility import Facility

ON_ACTIVEMQ = pytest.mark.parametrize("facility", ["activemq"], indirect=True)
INSTRUMENT, RULED = "mandi", "vulcan"  # no other test raises alarms there
DASH = "\N{EN DASH}"
_RECIPIENT = """
INSERT INTO dasmon_recipient (owner_id, way, address, minimum_level, days, escalate_after,
    wants_over, is_enabled)
SELECT id, %s, %s, 4, '{}', %s::interval, true, true FROM auth_user WHERE username = %s
RETURNING id
"""
_numbers = itertools.count(1)


@pytest.fixture
def scientist(browser: Browser, facility: Facility) -> Iterator[Page]:
    """A page of somebody who may acknowledge."""
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    endpoints = facility.endpoints
    log_in_page(page, endpoints.web, "scientist", endpoints.passwords["scientist"])
    yield page
    context.close()


def signal(facility: Facility, name: str, words: str) -> None:
    body = {
        "msg_type": "2147483648",
        "src_id": "DASMON_0",
        "timestamp": str(time.time()),
        "sig_name": name,
        "sig_source": "DAS",
        "sig_message": words,
        "sig_level": "4",
    }
    topic = f"/topic/SNS.{INSTRUMENT.upper()}.SIGNAL.DASMON"
    facility.send(topic, json.dumps(body).encode())


def complaints(watched: Watched) -> list[str]:
    """Without those of a page that was left while it was reading."""
    return [said for said in watched.complaints if not said.startswith("error: htmx:")]


def await_listener(facility: Facility) -> None:
    """Topics keep nothing for those who come late."""
    listening = "SELECT 1 FROM dasmon_listener_process WHERE is_connected AND is_active"
    assert facility.await_true(lambda: bool(facility.query(listening)), 60)


def tell(facility: Facility, way: str, address: str, escalate_after: str | None) -> None:
    assert facility.query(_RECIPIENT, way, address, escalate_after, "scientist")


@ON_ACTIVEMQ
def test_from_a_signal_to_those_who_must_know(facility: Facility, scientist: Page) -> None:
    await_listener(facility)
    tell(facility, "webhook", facility.hook.url("/alarms"), None)
    seen, missed = (f"SID_VACUUM_{next(_numbers)}" for _ in range(2))

    scientist.goto(f"{facility.endpoints.web}/alarms/?instrument={INSTRUMENT}&level=error")
    watched = Watched(scientist, facility.endpoints.web)
    await_stream(scientist)
    mark(scientist)
    scientist.get_by_role("button", name="Sound: off").click()
    expect(scientist.locator("#sound")).to_have_text("Sound: on")
    scientist.evaluate("document.addEventListener('webmon:tone', () => (window.wasHeard = true))")
    signal(facility, seen, "The vacuum is <b>bad</b>")
    row = scientist.locator("#needing tr", has_text=seen)
    expect(row).to_contain_text("The vacuum is <b>bad</b>")
    expect(row.locator(".level")).to_have_text("error")
    expect(scientist).to_have_title(f"(1) Alarms {DASH} WebMon")
    assert scientist.evaluate("window.wasHeard === true")
    expect(scientist.locator("#news")).to_contain_text(seen)
    expect(scientist.locator("#alarm-count")).to_be_visible()

    # Another one comes while somebody is about to answer.
    scientist.get_by_role("checkbox", name=seen).check()
    scientist.locator("#comment").press_sequentially("We are on ")
    signal(facility, missed, "And nobody looks")
    expect(scientist.locator("#needing tr", has_text=missed)).to_be_visible()
    scientist.locator("#comment").press_sequentially("our way")
    assert scientist.get_by_role("checkbox", name=seen).is_checked()
    assert is_marked(scientist)
    scientist.get_by_role("button", name="Acknowledge 1").click()
    handled = scientist.locator("#handled tr", has_text=seen)
    expect(handled).to_contain_text("Acknowledged by scientist")
    expect(handled).to_contain_text("We are on our way")
    expect(scientist.locator("#needing tr[id]")).to_have_count(1)

    # Nobody acknowledges the other one.
    tell(facility, "email", "scientist@facility.example", "2 s")
    scientist.get_by_role("link", name=missed).click()
    await_stream(scientist)
    mark(scientist)
    log = scientist.locator("#alarm-log")
    expect(log.locator(".history")).to_contain_text("Escalated", timeout=30_000)
    told = log.locator(".deliveries tr", has_text="by e-mail")
    expect(told).to_contain_text("Escalated", timeout=30_000)
    expect(told).to_contain_text("delivered in", timeout=30_000)
    expect(told.locator(".state")).to_have_text("sent")
    hooked = log.locator(".deliveries tr", has_text="by webhook")
    expect(hooked).to_contain_text("Raised")
    expect(hooked.locator(".state")).to_have_text("sent")
    assert is_marked(scientist)
    mails = [mail.as_string() for mail in facility.mails.mails]
    assert sum(missed in mail for mail in mails) == 1
    assert not any(seen in mail for mail in mails)
    heard = b"".join(facility.hook.bodies).decode()
    assert missed in heard and seen in heard

    scientist.locator("#comment").fill("I look after it")
    scientist.get_by_role("button", name="Acknowledge").click()
    expect(log.locator(".history")).to_contain_text("I look after it")
    scientist.goto(f"{facility.endpoints.web}/alarms/?instrument={INSTRUMENT}")
    expect(scientist).to_have_title(f"Alarms {DASH} WebMon")
    assert complaints(watched) == []
    facility.command("UPDATE dasmon_recipient SET is_enabled = false")


def report(facility: Facility, name: str, value: float) -> None:
    """A status value, as DASMON sends it."""
    body = {"src_id": "DASMON_0", "timestamp": str(time.time()), name: str(value)}
    topic = f"/topic/SNS.{RULED.upper()}.APP.DASMON"
    facility.send(topic, json.dumps(body).encode())


@ON_ACTIVEMQ
def test_a_rule_is_tried_on_the_last_week_and_then_fires(
    facility: Facility, scientist: Page
) -> None:
    await_listener(facility)
    name = f"chopper_{next(_numbers)}"
    report(facility, name, 60.0)
    known = "SELECT 1 FROM dasmon_series JOIN dasmon_sample ON series_id = id WHERE name = %s"
    assert facility.await_true(lambda: bool(facility.query(known, name)), 30)

    scientist.goto(f"{facility.endpoints.web}/alarms/rules/new/?instrument={RULED}")
    watched = Watched(scientist, facility.endpoints.web)
    scientist.get_by_label("Name").press_sequentially(name)
    expect(scientist.locator("#rule-kind")).to_have_value("status")
    scientist.get_by_label("For at least").fill("0")
    preview = scientist.locator("#preview")
    scientist.get_by_label("Upper limit").fill("5 0")
    expect(preview).to_contain_text("is no number")
    scientist.get_by_label("Upper limit").fill("50")
    expect(preview).to_contain_text("It would have fired 1 time in the last week")
    expect(preview.locator("svg rect")).to_have_count(1)
    scientist.get_by_label("Upper limit").fill("100")
    expect(preview).to_contain_text("It would not have fired")
    scientist.get_by_role("button", name="Save the rule").click()
    rule = scientist.locator("tr", has_text=name)
    expect(rule).to_contain_text("is above 100")

    scientist.goto(f"{facility.endpoints.web}/alarms/?instrument={RULED}")
    await_stream(scientist)
    mark(scientist)
    report(facility, name, 120.0)
    expect(scientist.locator("#needing tr", has_text=f"{name} above")).to_be_visible()
    assert is_marked(scientist)
    assert complaints(watched) == []
