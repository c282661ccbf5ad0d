"""An old database beside ours, empty for every test."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase, old_database


@pytest.fixture(scope="session")
def old_installation(django_db_setup: None) -> Iterator[OldDatabase]:
    """Made once: a database takes a second."""
    parameters = connection.get_connection_params()
    server = {name: parameters[name] for name in ("host", "port", "user", "password")}
    with old_database(server, "webmon_test_old_system") as old:
        yield old


@pytest.fixture
def old(old_installation: OldDatabase, transactional_db: None) -> OldDatabase:
    """The tables of an installation that WebMon replaces, with its usual queues."""
    old_installation.clear()
    return old_installation
