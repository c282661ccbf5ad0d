"""How data acquisition writes process variables: function calls in WebMon's database."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import psycopg

from demo.simulator.controls import Value

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(seconds=3)
_NUMBER = "SELECT pvUpdate(%s::text, %s, %s::float8, 0, %s)"
_TEXT = "SELECT pvStringUpdate(%s::text, %s, %s, 0, %s)"
_MONITORED = "SELECT setInstrumentPVs(%s::text, %s::text[])"


class PvDatabase:
    """One session, opened when it is needed; values that find no database are forgotten."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session: psycopg.Connection | None = None
        self._told: set[str] = set()
        self._quiet_until: datetime | None = None

    def update(
        self, instrument: str, values: Mapping[str, Value], shown: Sequence[str], at: datetime
    ) -> None:
        """Write values, and once in each session which of them the instrument's page shows."""
        if not values or (self._quiet_until is not None and at < self._quiet_until):
            return
        try:
            self._write(instrument, values, shown, int(at.timestamp()))
        except psycopg.Error as error:
            log.warning("database: %s; trying again", error)
            self.close()
            self._quiet_until = at + RETRY_AFTER

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
        self._told.clear()

    def _write(
        self, instrument: str, values: Mapping[str, Value], shown: Sequence[str], at: int
    ) -> None:
        if self._session is None:
            self._session = psycopg.connect(self._address, autocommit=True, connect_timeout=3)
        for name, value in values.items():
            statement = _TEXT if isinstance(value, str) else _NUMBER
            self._session.execute(statement, (instrument, name, value, at))
        if instrument not in self._told:
            self._session.execute(_MONITORED, (instrument, list(shown)))
            self._told.add(instrument)
