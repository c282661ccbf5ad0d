"""F18: one message that breaks Python or PostgreSQL ends as a row; the others flow."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest
from django.db import connection

from tests.integration.workflow_manager.test_record import Arrival, arrival, take_in
from workflow_manager import handlers
from workflow_manager.models import Event, RejectedMessage, Run

pytestmark = pytest.mark.django_db(transaction=True)

DATA_READY = "POSTPROCESS.DATA_READY"
POISON = 31  # the number of the run that breaks something
BATCH = 64


class Greedy(bytes):
    """A body for which there is no memory."""

    def decode(self, *_args: object, **_options: object) -> NoReturn:
        raise MemoryError


class Endless(bytes):
    """A body that Python cannot follow to its end."""

    def decode(self, *_args: object, **_options: object) -> NoReturn:
        raise RecursionError("maximum recursion depth exceeded")


def others() -> list[Arrival]:
    return [arrival(DATA_READY, f"m{n}", run_number=n) for n in range(BATCH) if n != POISON]


def with_others(poison: Arrival) -> list[Arrival]:
    batch = others()
    return [*batch[:POISON], poison, *batch[POISON:]]


def settled(poison: Arrival) -> RejectedMessage:
    """Take in a batch with poison; see that only the poison was rejected, and soon."""
    began = time.monotonic()
    take_in(*with_others(poison))
    assert time.monotonic() - began < 10
    assert Run.objects.filter(data_ready_at__isnull=False).count() == BATCH - 1
    return RejectedMessage.objects.get()


@contextmanager
def bad_for_the_server(deed: str) -> Iterator[None]:
    """PostgreSQL does this whenever an event of the poisonous run is written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.body->>'run_number' = '{POISON}' THEN {deed}; END IF; RETURN NEW; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER poison BEFORE INSERT ON workflow_event "
            "FOR EACH ROW EXECUTE FUNCTION poison()"
        )
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION poison CASCADE")


@contextmanager
def limit_on_statements(limit: str) -> Iterator[None]:
    """Of every connection, as an administrator would set it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        [name] = cursor.fetchone() or []
        cursor.execute(f"ALTER DATABASE \"{name}\" SET statement_timeout = '{limit}'")
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET statement_timeout')
        connection.close()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Greedy(b"{}"), "MemoryError"),
        (Endless(b"{}"), "recursion"),
        (b"[" * 100_000, "nested more than"),
        (b'{"run_number": ' + b"9" * 100_000 + b"}", "too large to be kept"),
    ],
    ids=["memory", "recursion", "depth", "digits"],
)
def test_what_breaks_python_is_rejected(body: bytes, reason: str) -> None:
    row = settled(Arrival(DATA_READY, "poison", body))
    assert reason in row.reason
    assert bytes(row.body) == body


def test_what_no_index_takes_is_rejected() -> None:
    name = secrets.token_hex(10_000)  # cannot be compressed to what an index takes
    poison = arrival(f"/queue/{name}", "poison", run_number=POISON)
    assert "index row" in settled(poison).reason


def test_what_the_server_cannot_store_is_rejected() -> None:
    with bad_for_the_server("RAISE program_limit_exceeded USING MESSAGE = 'too large for jsonb'"):
        assert "too large" in settled(arrival(DATA_READY, "poison", run_number=POISON)).reason


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("PERFORM pg_terminate_backend(pg_backend_pid())", "terminating connection"),
        ("RAISE out_of_memory USING MESSAGE = 'out of memory'", "out of memory"),
    ],
)
def test_what_brings_the_server_into_trouble_each_time_is_rejected(deed: str, reason: str) -> None:
    with bad_for_the_server(deed):
        assert reason in settled(arrival(DATA_READY, "poison", run_number=POISON)).reason


def test_what_never_ends_is_rejected_when_the_server_limits_the_time() -> None:
    with limit_on_statements("500ms"), bad_for_the_server("PERFORM pg_sleep(60)"):
        row = settled(arrival(DATA_READY, "poison", run_number=POISON))
    assert "statement timeout" in row.reason


def test_one_trouble_of_the_server_costs_no_message() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE once")
    deed = "IF nextval('once') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF"
    try:
        with bad_for_the_server(deed):
            take_in(arrival(DATA_READY, "unlucky", run_number=POISON))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SEQUENCE once")
    assert Event.objects.filter(queue=DATA_READY).count() == 1
    assert not RejectedMessage.objects.exists()


@pytest.mark.parametrize("deed", ["RAISE disk_full", "RAISE read_only_sql_transaction"])
def test_a_server_that_takes_nothing_gets_the_message_again(deed: str) -> None:
    with bad_for_the_server(deed), pytest.raises(handlers.DatabaseAwayError):
        take_in(arrival(DATA_READY, "early", run_number=POISON))
    assert not RejectedMessage.objects.exists()
