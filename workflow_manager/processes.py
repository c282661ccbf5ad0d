"""What this workflow manager counts of itself, and tells the others."""

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import connection

from workflow_manager.broker.ports import Delivery
from workflow_manager.protocol.codec import sent_at
from workflow_manager.sql import PRESENCE

# An older message says more about its sender's clock than about us.
_LONGEST_LAG = 30 * 86400.0


def own_name() -> str:
    """Host and process number."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class Tally:
    """What was received and recorded; one thread counts, another reads."""

    handled: int = 0
    last_message_at: datetime | None = None
    lag_seconds: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, deliveries: Sequence[Delivery]) -> None:
        """Take in a batch that was recorded."""
        now = datetime.now(UTC)
        lag = lag_of(deliveries[-1], now) if deliveries else None
        with self._lock:
            self.handled += len(deliveries)
            if deliveries:
                self.last_message_at, self.lag_seconds = now, lag

    def read(self) -> dict[str, int | float | datetime | None]:
        with self._lock:
            return {
                "handled": self.handled,
                "last_message_at": self.last_message_at,
                "lag_seconds": self.lag_seconds,
            }


def lag_of(delivery: Delivery, received_at: datetime) -> float | None:
    """Seconds from the sending, by the broker's stamp, until now; None if it says nothing usable.

    A `timestamp` in the body is not asked: agents repeat the one of the run.
    """
    sent = sent_at({}, delivery.headers)
    if sent is None:
        return None
    lag = (received_at - sent).total_seconds()
    return max(0.0, lag) if -60 < lag < _LONGEST_LAG else None


def tell(name: str, started_at: datetime, tally: Tally, *, is_connected: bool) -> None:
    """Write down that this process lives.

    Raises:
        django.db.Error: it was not written.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            PRESENCE["manager"],
            {"name": name, "started_at": started_at, "is_connected": is_connected, **tally.read()},
        )


def forget_ended() -> None:
    """Drop what ended processes told, and agents that nobody has heard for months.

    Raises:
        django.db.Error: nothing was dropped.
    """
    with connection.cursor() as cursor:
        cursor.execute(PRESENCE["forget_managers"])
        cursor.execute(PRESENCE["forget_agents"])
