"""Of several listeners one writes; the others stand by.

The right to write is a lock of the connection that writes: who loses the connection has lost the
right, so two can never write at once.
"""

from django.db import connection

from dasmon_listener.sql import INGEST

_LOCK = "dasmon listener"


class Turn:
    """The right to write, of the thread that asks."""

    def __init__(self) -> None:
        self._held_on: object | None = None

    def is_ours(self) -> bool:
        """Whether we may write now; takes the right if nobody has it.

        Raises:
            django.db.Error: the database does not answer.
        """
        if self._held_on is not None and connection.connection is self._held_on:
            return True
        with connection.cursor() as cursor:
            cursor.execute(INGEST["try_turn"], {"lock": _LOCK})
            (is_ours,) = cursor.fetchone()
        self._held_on = connection.connection if is_ours else None
        return bool(is_ours)
