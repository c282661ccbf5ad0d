"""How a daemon hears, at once, that another process left work in the database."""

import psycopg
from psycopg import sql


class Doorbell:
    """Waits until somebody rang on a channel, here or in another process."""

    def __init__(self, database: str, channel: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

    def wait(self, seconds: float) -> bool:
        """Return when it rang, or after `seconds`: a lost ring costs delay, never a message."""
        return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        self._connection.close()
