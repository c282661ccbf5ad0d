from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from pytest_django import Settings

SECRET = "s3cret"
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def plot_store(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.integration.livedata.livedata_urls"
    settings.LIVEDATA_PLOT_SECRET = SECRET
    settings.LIVEDATA_PLOT_LIFETIME = timedelta(days=1095)
    settings.LIVEDATA_LARGEST_UPLOAD = 1_000_000
    # Slow on purpose in production; here a login happens in every test.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def uploads(db: None) -> User:
    """The account that publishes."""
    return User.objects.create_user("uploads", password=PASSWORD)
