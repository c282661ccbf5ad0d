"""People with accounts, each logged in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from tests.integration.webmon import rows


@pytest.fixture(autouse=True)
def _files_without_hashed_names(settings: Settings) -> None:
    """Hashed names need `collectstatic`, which the demo does and its tests cover."""
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_remembered_failures() -> None:
    cache.clear()


@pytest.fixture
def client_of(db: None, tmp_path: Path) -> Callable[[str], Client]:
    """A client logged in with an account of a role; `anonymous` is not logged in."""

    def make(role: str) -> Client:
        client = Client()
        if role != "anonymous":
            client.force_login(rows.account(role, tmp_path))
        return client

    return make


@pytest.fixture
def user(client_of: Callable[[str], Client]) -> Client:
    return client_of("user")


@pytest.fixture
def admin(client_of: Callable[[str], Client]) -> Client:
    return client_of("admin")
