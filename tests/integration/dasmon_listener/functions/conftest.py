"""Callers outside of Django, each with its own connection."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

Link = psycopg.Connection

_INSTRUMENTS = "INSERT INTO workflow_instrument (name) VALUES ('hys'), ('arcs')"


def _connected() -> Link:
    parameters = connection.get_connection_params()
    address = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname")}
    return psycopg.connect(**address, options="-c lock_timeout=20s")


@pytest.fixture
def das(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Link]:
    """The data acquisition's session, at a facility with HYS and ARCS; nothing is committed.

    Samples have no foreign key, so there may be some of former tests under numbers given again.
    """
    with django_db_blocker.unblock(), _connected() as link:
        link.execute("TRUNCATE dasmon_sample")
        link.execute(_INSTRUMENTS)
        yield link
        link.rollback()


@pytest.fixture
def connect(transactional_db: None) -> Iterator[Callable[[], Link]]:
    """Sessions that commit each statement, at the same facility; samples are gone afterwards."""
    with ExitStack() as stack:

        def connected() -> Link:
            link = stack.enter_context(_connected())
            link.autocommit = True
            return link

        connected().execute(f"TRUNCATE dasmon_sample; {_INSTRUMENTS}".encode())
        yield connected
