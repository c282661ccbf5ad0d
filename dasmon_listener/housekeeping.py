"""What the listener does now and then beside receiving and writing."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from dasmon_listener import partitions, rollups
from dasmon_listener.intake import Intake
from dasmon_listener.sql import INGEST
from dasmon_listener.tally import Tally
from dasmon_listener.watch import Watch
from workflow_manager.handlers import is_database_away
from workflow_manager.housekeeping import Chore
from workflow_manager.services import CHANGES, notify

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells what every listener is and does, also one that stands by."""

    name: str
    tally: Tally
    intake: Intake
    is_connected: Callable[[], bool]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    # Of two threads that tell, the one that looked later must be the one that writes later.
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def tell(self) -> None:
        """Write it down.

        Raises:
            django.db.Error: it was not written.
        """
        with self._turn, connection.cursor() as cursor:
            cursor.execute(
                INGEST["tell"],
                {
                    "name": self.name,
                    "started_at": self.started_at,
                    "is_active": self.tally.is_active,
                    "is_connected": self.is_connected(),
                    "messages": self.tally.messages,
                    "values": self.tally.values,
                    "shed": self.intake.shed,
                    "unread": self.tally.unread,
                    "waiting": self.intake.waiting,
                    "lag": self.tally.lag,
                },
            )

    def chores(self) -> list[Chore]:
        return [Chore(self.tell, period=1.0)]


def chores() -> list[Chore]:
    """What the listener that writes does for all."""
    return [Chore(_PvNotices().tell, period=1.0), Chore(_forget_ended, period=3600.0)]


def watching(hears: Callable[[], bool]) -> list[Chore]:
    """Rules of alarms, and components that fall silent; in a thread of its own."""
    watch = Watch()
    return [Chore(_guarded(lambda: watch.look(datetime.now(UTC), hears())), period=1.0)]


def history() -> list[Chore]:
    """Rollups and days of samples; in a thread of its own, because they take their time."""

    def tend() -> None:
        try:
            partitions.tend(datetime.now(UTC))
        except OperationalError as error:
            # Whoever reads for long must not keep the rollups from being made.
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            log.warning("What is left of the partitions is tended later: %s", error)

    def roll_up() -> None:
        rollups.roll_up(datetime.now(UTC))

    return [Chore(_guarded(tend), period=600.0), Chore(_guarded(roll_up), period=60.0)]


def _guarded(work: Callable[[], None]) -> Callable[[], None]:
    """What goes wrong in it must not stop the receiving; a database that is away is waited for."""

    def guarded() -> None:
        try:
            work()
        except DatabaseError as error:
            if is_database_away(error):
                raise
            log.exception("A part of the housekeeping failed.")
        except Exception:
            log.exception("A part of the housekeeping failed.")

    return guarded


class _PvNotices:
    """Tells pages of PVs that other programs wrote through the functions in the database."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC)

    def tell(self) -> None:
        looked_at = datetime.now(UTC)
        # A transaction takes time until it is seen: look a little farther back.
        since = self._since - timedelta(seconds=1)
        with connection.cursor() as cursor:
            cursor.execute(INGEST["changed_pvs"], {"since": since})
            notify(cursor, CHANGES, [f"values {name}" for (name,) in cursor.fetchall()])
        self._since = looked_at


def _forget_ended() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INGEST["forget_listeners"])
