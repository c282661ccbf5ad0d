"""Real Chromium, from Debian's package, driven by Playwright."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
# As root Chromium has no sandbox; the others keep it from asking the world for updates.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Start the browser; where it is missing the test is skipped, in CI it fails."""
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing; on Debian: apt-get install chromium"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # A page is waited for as long as it may need on a machine that does three things at once.
    expect.set_options(timeout=30_000)
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)


def log_in_page(page: Page, web: str, username: str, password: str) -> None:
    """Fill in the log-in form as a person would."""
    page.goto(f"{web}/users/login")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/users/login" not in url)
