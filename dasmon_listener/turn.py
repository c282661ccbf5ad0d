"""Of several listeners one writes; the others stand by.

The right to write is a lock of the connection that writes: who loses the connection has lost the
right, so two can never write at once.
"""

from datetime import datetime

from django.db import connection
from django.db.backends.utils import CursorWrapper

from dasmon_listener.sql import INGEST

_LOCK = "dasmon listener"


class Turn:
    """The right to write, of the thread that asks."""

    def __init__(self) -> None:
        self._held_on: object | None = None
        self._session: tuple[int, datetime] | None = None

    def is_ours(self) -> bool:
        """Whether we may write now; takes the right if nobody has it.

        Raises:
            django.db.Error: the database does not answer.
        """
        if self._held_on is not None and connection.connection is self._held_on:
            return True
        with connection.cursor() as cursor:
            self._end_lost_session(cursor)
            cursor.execute(INGEST["try_turn"], {"lock": _LOCK})
            (is_ours,) = cursor.fetchone()
            if is_ours:
                cursor.execute(INGEST["own_session"])
                self._session = cursor.fetchone()
                self._held_on = connection.connection
        return bool(is_ours)

    def _end_lost_session(self, cursor: CursorWrapper) -> None:
        """The server may not know yet that our connection broke, and still hold its lock."""
        if self._session is not None:
            pid, started_at = self._session
            cursor.execute(INGEST["end_session"], {"pid": pid, "started_at": started_at})
            self._session = None
