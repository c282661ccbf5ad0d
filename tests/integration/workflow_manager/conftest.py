"""An old database beside ours, empty for every test."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase, old_database


@pytest.fixture
def old(transactional_db: None) -> Iterator[OldDatabase]:
    """The tables of an installation that WebMon replaces, with its usual queues."""
    parameters = connection.get_connection_params()
    wanted = ("host", "port", "user", "password")
    server = {name: parameters[name] for name in wanted}
    with old_database(server, "webmon_test_old_system") as old:
        yield old
