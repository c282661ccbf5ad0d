"""The pages at /database/ in a real browser: nothing there breaks our content security policy."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.browser import launch
from workflow_manager import queues, routes
from workflow_manager.models import Instrument

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _plain_http(settings: Settings) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@pytest.fixture
def rows() -> None:
    for name in ("arcs", "hysa"):
        Instrument.objects.create(name=name, facility="SNS")
    routes.set_route("hysa", "POSTPROCESS.DATA_READY", [], by="bob")
    queues.add("SITE.DONE")
    queues.report_refused({"/queue/SITE.DONE": "AMQ339001 Destination does not exist SITE.DONE"})


@pytest.fixture
def session(rows: None) -> str:
    user = User.objects.create_superuser("ann")
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, session: str, live_server: LiveServer) -> Iterator[Page]:
    """Logged in; whatever the browser complains of fails the test."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        context = browser.new_context(color_scheme=request.param, base_url=live_server.url)
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        complaints: list[str] = []

        def note(said: Any) -> None:
            if said.type in {"error", "warning"}:
                complaints.append(f"{page.url}: {said.text}")

        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        yield page
        assert complaints == []


def seen(page: Page, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    folder = os.environ.get("WEBMON_PICTURES")
    if folder:
        scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        picture = Path(folder) / f"{name}-{'dark' if scheme else 'light'}.png"
        page.screenshot(path=picture, full_page=True)


def test_staff_look_preview_and_change(page: Page) -> None:
    for place in ("", "workflow_manager/queue/", "workflow_manager/instrument/"):
        page.goto(f"/database/{place}")
        assert page.locator("#content").is_visible()
        seen(page, place.strip("/").rpartition("/")[2] or "home")
    set_a_route(page)
    add_a_queue(page)
    set_a_limit(page)


def set_a_route(page: Page) -> None:
    page.goto("/database/workflow_manager/route/add/")
    page.select_option("select[name=instrument]", label="ARCS")
    page.select_option("select[name=queue]", "POSTPROCESS.DATA_READY")
    page.fill("textarea[name=targets]", "CATALOG.ONCAT.DATA_READY\nreduction.himem.data_ready")
    page.click("input[name=_preview]")
    page.get_by_text("as proposed: sends CATALOG.ONCAT.DATA_READY").wait_for()
    seen(page, "preview")
    page.fill("textarea[name=targets]", "REDUCTION.COMPLETE")
    page.click("input[name=_save]")
    page.get_by_text("round in circles").wait_for()
    seen(page, "refused")
    page.fill("textarea[name=targets]", "REDUCTION.HIMEM.DATA_READY")
    page.click("input[name=_save]")
    page.get_by_text("was added successfully").wait_for()
    seen(page, "routes")


def add_a_queue(page: Page) -> None:
    page.goto("/database/workflow_manager/queue/add/")
    page.fill("input[name=name]", "site.other")
    page.click("input[name=_save]")
    page.get_by_text("was added successfully").wait_for()


def set_a_limit(page: Page) -> None:
    page.goto("/database/workflow_manager/instrument/")
    page.get_by_role("link", name="arcs").click()
    page.fill("input[name=jobs_in_flight]", "3")
    seen(page, "limit")
    page.click("input[name=_save]")
    page.get_by_text("was changed successfully").wait_for()
