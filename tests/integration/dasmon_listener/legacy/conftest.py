"""An old database with the tables of values and PVs, empty for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase, old_database

_SCHEMA = Path(__file__).with_name("schema.sql")


@pytest.fixture(scope="session")
def old_monitoring(django_db_setup: None) -> Iterator[OldDatabase]:
    parameters = connection.get_connection_params()
    server = {name: parameters[name] for name in ("host", "port", "user", "password")}
    with old_database(server, "webmon_test_old_monitoring") as old:
        old.link.execute(_SCHEMA.read_text(encoding="utf-8").encode())
        yield old


@pytest.fixture
def old(old_monitoring: OldDatabase) -> OldDatabase:
    old_monitoring.clear()
    old_monitoring.link.execute(
        "TRUNCATE dasmon_parameter, pvmon_pvname, dasmon_usernotification, auth_user"
        " RESTART IDENTITY CASCADE"
    )
    return old_monitoring
