"""One facility per broker for all acceptance tests, and a real browser.

On Artemis only those run that name it: a run's whole way, and what is killed on it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import launch, log_in_page
from tests.facility import Facility, require, running_facility

SCREENSHOTS = Path(__file__).parents[2] / "test-results"


@pytest.fixture(scope="session", params=["embedded", "activemq"])
def facility(request: pytest.FixtureRequest) -> Iterator[Facility]:
    if reason := require(request.param):
        pytest.skip(reason)
    # Webhooks of the tests are on this machine.
    os.environ.setdefault("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
    with running_facility(request.param) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, facility: Facility) -> Iterator[Page]:
    """A page of a person who is logged in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    log_in_page(page, facility.endpoints.web, "user", facility.endpoints.passwords["user"])
    yield page
    context.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
