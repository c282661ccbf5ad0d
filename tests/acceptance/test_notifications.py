"""A person adds a webhook, sends a test to it, and sees it arrive, without a reload."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.facility import Facility
from tests.integration.dasmon_listener.others import Hook, hook, say

PATH = "/dasmon/notifications/"


@pytest.fixture
def webhook() -> Iterator[Hook]:
    with hook() as found:
        yield found


def test_a_test_arrives_and_the_page_says_so(
    page: Page, facility: Facility, webhook: Hook, screenshots: Path
) -> None:
    webhook.answers["/away"] = say(503, b"We are <b>closed</b>")
    page.goto(facility.endpoints.web + PATH)
    for path in ("/", "/away"):
        page.get_by_role("link", name="Add a recipient").click()
        page.get_by_label("By", exact=True).select_option("webhook")
        page.get_by_label("Address").fill(webhook.url(path))
        page.get_by_label("Quiet from").fill("22:00")
        page.get_by_label("until").fill("07:00")
        page.screenshot(path=screenshots / "recipient.png", full_page=True)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status").filter(has_text="saved")).to_be_visible()
    for place in (0, 1):
        page.get_by_role("button", name="Send a test").nth(place).click()
        expect(page.locator("#told tr[id]")).to_have_count(place + 1)
    rows = page.locator("#told tr[id]")
    expect(rows.nth(1).locator(".state")).to_have_text("sent", timeout=20_000)
    expect(rows.nth(0).locator(".state")).to_have_text("failed", timeout=20_000)
    expect(rows.nth(0)).to_contain_text("503 Service Unavailable: We are <b>closed</b>")
    assert [json.loads(body)["cause"] for body in webhook.bodies] == ["test", "test"]
    rows.nth(0).get_by_text("1 try").click()
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=screenshots / f"notifications-{width}-{scheme}.png", full_page=True)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0
