"""How data acquisition writes process variables: function calls in WebMon's database."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import psycopg

from demo.simulator.controls import Value

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(seconds=3)
_NUMBER = "SELECT pvUpdate(%s::text, %s, %s::float8, 0, %s)"
_TEXT = "SELECT pvStringUpdate(%s::text, %s, %s, 0, %s)"
_MANY = "SELECT pvUpdateBatch(%s::jsonb)"
_MONITORED = "SELECT setInstrumentPVs(%s::text, %s::text[])"

Moment = tuple[datetime, Mapping[str, Value]]


class PvDatabase:
    """One session, opened when it is needed; values that find no database are forgotten."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session: psycopg.Connection | None = None
        self._told: set[str] = set()
        self._quiet_until: datetime | None = None

    def update(
        self,
        instrument: str,
        moments: Sequence[Moment],
        shown: Sequence[str],
        now: datetime,
    ) -> bool:
        """Write the values of some moments, and once in each session which PVs the page shows.

        Return whether they were written.
        """
        if self._quiet_until is not None and now < self._quiet_until:
            return False
        try:
            self._write(instrument, moments, shown)
        except psycopg.Error as error:
            log.warning("database: %s; trying again", error)
            self.close()
            self._quiet_until = now + RETRY_AFTER
            return False
        return True

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
        self._told.clear()

    def _write(self, instrument: str, moments: Sequence[Moment], shown: Sequence[str]) -> None:
        if self._session is None:
            self._session = psycopg.connect(self._address, autocommit=True, connect_timeout=3)
        if instrument not in self._told:
            # It fails until a message has made the instrument known, and so nothing is written
            # of an instrument that nobody knows.
            self._session.execute(_MONITORED, (instrument, list(shown)))
            self._told.add(instrument)
        if len(moments) == 1:
            self._write_singly(self._session, instrument, *moments[0])
        elif moments:
            self._session.execute(_MANY, (_batch(instrument, moments),))

    @staticmethod
    def _write_singly(
        session: psycopg.Connection, instrument: str, at: datetime, values: Mapping[str, Value]
    ) -> None:
        """As DASMON does."""
        for name, value in values.items():
            statement = _TEXT if isinstance(value, str) else _NUMBER
            session.execute(statement, (instrument, name, value, int(at.timestamp())))


def _batch(instrument: str, moments: Sequence[Moment]) -> str:
    return json.dumps(
        [
            {
                "instrument": instrument,
                "name": name,
                "value": value,
                "status": 0,
                "timestamp": at.timestamp(),
            }
            for at, values in moments
            for name, value in values.items()
        ]
    )
