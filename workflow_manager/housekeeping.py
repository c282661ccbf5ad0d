"""What is done now and then beside the receiving, each in a thread that waits for the database."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import Error as DatabaseError
from django.db import OperationalError, connection

from workflow_manager import event_partitions, presence, processes, recovery
from workflow_manager.domain.presence import Presence
from workflow_manager.handlers import is_database_away
from workflow_manager.processes import Tally

log = logging.getLogger(__name__)

_PAUSE = 1.0  # seconds, while the database is away


@dataclass(slots=True)
class Chore:
    """Something to be done again each `period` seconds."""

    do: Callable[[], object]
    period: float
    due_at: float = float("-inf")

    def do_if_due(self, now: float) -> float:
        """Return when it is due again; what failed is due at once."""
        if now >= self.due_at:
            self.do()
            self.due_at = now + self.period
        return self.due_at


def keep(chores: Sequence[Chore], stop: threading.Event) -> None:
    """Do chores until `stop` is set; a database that is away is waited for.

    Raises:
        Exception: whatever else goes wrong; the process is to end then, and be started again.
    """
    while not stop.is_set():
        try:
            next_at = min(chore.do_if_due(time.monotonic()) for chore in chores)
        except DatabaseError as error:
            if not is_database_away(error):
                raise
            log.warning("Housekeeping waits for the database: %s", error)
            connection.close()
            next_at = time.monotonic() + _PAUSE
        stop.wait(max(0.0, next_at - time.monotonic()))
    connection.close()


def chores(
    listening: Presence, tally: Tally, is_connected: Callable[[], bool], most_recoveries: int
) -> list[Chore]:
    """What this process does for all: who lives, whose jobs are lost, what is overdue."""
    name, started_at = processes.own_name(), datetime.now(UTC)

    def look_around() -> None:
        presence.write_down(listening)
        freed = recovery.free_jobs_of(listening.silent(time.monotonic()), most_recoveries)
        if freed:
            log.warning("%d jobs of agents that fell silent were ended", freed)

    def look_back() -> None:
        overdue = recovery.recover_overdue(datetime.now(UTC), most_recoveries)
        if overdue:
            log.warning("%d overdue jobs were ended", overdue)

    def tell() -> None:
        processes.tell(name, started_at, tally, is_connected=is_connected())

    def make_partitions() -> None:
        """So that no month begins without one, whether or not Celery's beat runs."""
        try:
            event_partitions.ensure(event_partitions.MONTHS_AHEAD)
        except OperationalError as error:
            log.warning("Months of events are made later: %s", error)

    return [
        Chore(make_partitions, period=3600.0),
        Chore(tell, period=5.0),
        Chore(look_around, period=2.0),
        Chore(look_back, period=5.0),
        Chore(processes.forget_ended, period=3600.0),
    ]
