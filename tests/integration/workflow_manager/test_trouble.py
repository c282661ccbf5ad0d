"""What counts as a database that is away, and what as a message that is bad."""

import select

import pytest
from django.db import Error, connection, transaction

from workflow_manager.handlers import is_database_away

pytestmark = pytest.mark.django_db(transaction=True)


def error_of(statement: str) -> Error:
    with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return caught.value


@pytest.mark.parametrize(
    ("statement", "is_away"),
    [
        ("SELECT 1 / 0", False),
        ("SELECT 'x'::int", False),
        ("SELECT repeat('x', 1000)::varchar(3)::int", False),
        ("SELECT * FROM no_such_table", True),
        ("DO $$ BEGIN RAISE read_only_sql_transaction; END $$", True),
        ("DO $$ BEGIN RAISE check_violation; END $$", False),
        ("DO $$ BEGIN RAISE program_limit_exceeded; END $$", False),
        ("DO $$ BEGIN RAISE disk_full; END $$", True),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", True),
        ("DO $$ BEGIN RAISE too_many_connections; END $$", True),
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
    ],
)
def test_trouble_of_the_server_is_told_from_trouble_with_a_message(
    statement: str, is_away: bool
) -> None:
    error = error_of(statement)
    connection.close()
    assert is_database_away(error) is is_away


def test_who_was_frozen_in_a_transaction_finds_it_gone_and_tries_again() -> None:
    with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
        # The server says goodbye on its own: that is what we wait for.
        ready, _, _ = select.select([connection.connection.fileno()], [], [], 20)
        assert ready
        cursor.execute("SELECT 1")
    connection.close()
    assert is_database_away(caught.value)


def test_every_connection_gives_up_its_locks_when_it_is_frozen() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)
