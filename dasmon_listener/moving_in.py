"""Moving in: values, PVs, signals and choices of the system that WebMon replaces, copied in bulk.

Rows are streamed from there with COPY into temporary tables here, and put with one statement per
kind; history hour by hour, each in a transaction. It may be stopped anywhere and called again.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import IsolationLevel

from dasmon_listener.sql import MOVING_IN
from workflow_manager.moving_in.names import CENTRAL_SERVICES, INSTRUMENT

_COMMON = {"central_services": CENTRAL_SERVICES}
_HOUR = dt.timedelta(hours=1)

# What is copied at once: the temporary table, what is asked there, and what is done here with the
# words that tell of it.
_KINDS = (
    ("old_monitored", "monitored_there", "put_monitored", "monitored PVs"),
    ("old_equipment", "equipment_there", "put_equipment", "instruments with their equipment"),
    ("old_signal", "signals_there", "put_signals", "signals of the last day"),
    ("old_registration", "registrations_there", "put_registrations", "registrations for e-mail"),
)


def move_in(address: str, history: dt.timedelta, tell: Callable[[str], None]) -> None:
    """Copy what is there and not yet here, with so much of the history.

    Raises:
        psycopg.Error, django.db.Error: what was committed stays; call again to continue.
    """
    with _snapshot(address) as there, connection.cursor() as cursor:
        cursor.execute(MOVING_IN["stage"])
        try:
            _move(cursor, there, history, tell)
        finally:
            if connection.is_usable():
                cursor.execute("DISCARD TEMPORARY")


def _move(
    cursor: CursorWrapper,
    there: psycopg.Connection,
    history: dt.timedelta,
    tell: Callable[[str], None],
) -> None:
    names = [name for (name,) in there.execute(MOVING_IN["instruments_there"], _COMMON)]
    fitting = [name for name in names if INSTRUMENT.pattern.fullmatch(name)]
    if left_out := sorted(set(names) - set(fitting)):
        tell(f"Left out, because instruments cannot have such names here: {', '.join(left_out)}")
    with transaction.atomic():
        cursor.execute(MOVING_IN["add_instruments"], {"names": fitting})
        for table, asked, put, words in _KINDS:
            _stage(cursor, there, table, asked, {})
            cursor.execute(MOVING_IN[put])
            moved = cursor.fetchone()[0] if put == "put_registrations" else cursor.rowcount
            tell(f"{moved} {words}")
    with transaction.atomic():
        tell(f"{_put_values(cursor, there, 'latest', _COMMON)} newest values")
    samples = 0
    since = dt.datetime.now(dt.UTC) - history
    for (hour,) in there.execute(MOVING_IN["hours_there"], {"since": since}).fetchall():
        moment = _COMMON | {"begin": max(hour, since), "end": hour + _HOUR}
        with transaction.atomic():
            samples += _put_values(cursor, there, "history", moment)
        tell(
            f"{samples} values of history, those before {hour + _HOUR:%Y-%m-%d %H:%M} UTC are here"
        )


def _put_values(
    cursor: CursorWrapper, there: psycopg.Connection, what: str, values: Mapping[str, Any]
) -> int:
    """How many came that were not here."""
    _stage(cursor, there, "old_value", f"{what}_there", values)
    cursor.execute(MOVING_IN["read_numbers"])
    cursor.execute(MOVING_IN["add_series"])
    cursor.execute(MOVING_IN["put_latest" if what == "latest" else "put_samples"])
    moved: int = cursor.rowcount
    return moved


def _stage(
    cursor: CursorWrapper,
    there: psycopg.Connection,
    table: str,
    asked: str,
    values: Mapping[str, Any],
) -> None:
    cursor.execute(f"TRUNCATE {table}")
    with (
        there.cursor() as reader,
        reader.copy(cast("Any", MOVING_IN[asked]), dict(values) or None) as blocks,
        cursor.copy(f"COPY {table} FROM STDIN") as copy,
    ):
        for block in blocks:
            copy.write(block)
    # A temporary table has no statistics until it is told to.
    cursor.execute(f"ANALYZE {table}")


@contextmanager
def _snapshot(address: str) -> Iterator[psycopg.Connection]:
    """The old database as it is at one moment; nothing is ever written there."""
    with psycopg.connect(address, connect_timeout=10, application_name="webmon import") as link:
        link.isolation_level = IsolationLevel.REPEATABLE_READ
        link.read_only = True
        yield link
