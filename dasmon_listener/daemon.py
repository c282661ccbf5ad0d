"""The listener as a process: receive, let wait, write; and what goes on beside it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from django.db import Error as DatabaseError
from django.db import connection

from dasmon_listener import handlers, housekeeping, pings, services
from dasmon_listener.config import ListenerConfig
from dasmon_listener.domain.topics import topics_of
from dasmon_listener.intake import Intake, Missing
from dasmon_listener.series import Register
from dasmon_listener.tally import Tally
from dasmon_listener.turn import Turn
from workflow_manager.broker.ports import Delivery, Publisher, Subscriber, Subscription
from workflow_manager.daemon import side_threads
from workflow_manager.handlers import is_database_away
from workflow_manager.housekeeping import keep
from workflow_manager.processes import own_name

log = logging.getLogger(__name__)

FLUSH_PERIOD = 0.25  # seconds; so no instrument is told of more than four times a second

NOBODY_LISTENED = "No listener was running."
BROKER_AWAY = "The listener had no connection to the message broker."

_PREFETCH = 2_000
_GATHER = 0.01  # seconds in which company of a message is waited for
_STANDBY = 0.25  # seconds between two looks whether the right to write is free
_LOOK = 0.05  # seconds between two looks at the connection: to make a new one takes longer
_ON_THE_WAY = 1.0  # seconds from a message's sender through the broker to us, at most
_AFTER_TROUBLE = 1.0  # seconds
# What came before is read and written, or nothing follows from silence.
_LONGEST_LAG = 5.0  # seconds


class TurnLostError(Exception):
    """Another listener writes now; the process ends, and stands by when it is started again."""


class Mailbox:
    """Between the receiving thread, which never waits, and the one that reads what came."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._came = threading.Event()
        self._pause = threading.Event()  # never set

    def put(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if not self._came.is_set():
            self._came.set()

    def take(self, timeout: float) -> list[Delivery]:
        """All that is there; waits for the first at most `timeout` seconds, then for company."""
        if not self._came.wait(timeout):
            return []
        self._pause.wait(_GATHER)
        self._came.clear()
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found


class Listener:
    """Everything between a broker and the database. `write` is for the thread that has the turn."""

    def __init__(self, subscriber: Subscriber, config: ListenerConfig) -> None:
        self.intake = Intake(config.largest_backlog)
        self.tally = Tally()
        self._subscriber = subscriber
        self._adara_instrument = config.adara_instrument
        self._subscriptions = _subscriptions(config)
        self._mailbox = Mailbox()
        self._refused: dict[str, str] = {}
        self._absence = Absence(self.intake)
        register = Register(most_new_instruments=config.new_instruments)
        self._writer = handlers.Writer(self.intake, self.tally, register, subscriber.ack_all)
        self._turn = Turn()
        self._read_until = self._written_until = 0.0

    @property
    def is_connected(self) -> bool:
        return self.tally.is_active and self._subscriber.is_connected

    def hears(self, longest_lag: float = _LONGEST_LAG) -> bool:
        """Whether signs of life that came `longest_lag` seconds ago are in the database by now.

        While they wait, because we or the database are slow, a component that is not heard there
        may have been heard all the same.
        """
        known_until = min(self._read_until, self._written_until)
        return self.is_connected and time.time() - known_until <= longest_lag

    def wait_for_turn(self, stop: threading.Event, tell: Callable[[], None]) -> bool:
        """Stand by while another listener writes. Return False if `stop` was set before.

        Args:
            tell: writes down that we are the one who writes, so that whoever comes after us knows
                from when on we are missing.
        """
        is_told = False
        while not stop.is_set():
            try:
                if self._turn.is_ours():
                    self._absence.begin(services.last_alive())
                    self.tally.is_active = True
                    tell()
                    log.info("This listener writes now.")
                    return True
            except DatabaseError as error:
                _wait_for_database(error, stop)
                continue
            if not is_told:
                log.info("Another listener writes; this one stands by.")
                is_told = True
            stop.wait(_STANDBY)
        return False

    def receive(self, stop: threading.Event) -> None:
        """Take in what comes until `stop` is set."""
        self._subscriber.start(self._subscriptions, self._mailbox.put)
        try:
            while not stop.is_set():
                self._take_in(_LOOK)
                self._absence.look(time.time(), is_connected=self._subscriber.is_connected)
                self._report_refused()
        finally:
            self._subscriber.close()
        self._take_in(0.0)

    def _take_in(self, timeout: float) -> None:
        began_at = time.time()
        deliveries = self._mailbox.take(timeout)
        if deliveries:
            self._absence.came(time.time())
            settled = handlers.take_in(deliveries, self.intake, self.tally, self._adara_instrument)
            self._subscriber.ack_all(settled)
        self._read_until = began_at

    def _report_refused(self) -> None:
        refused = dict(self._subscriber.refused)
        for destination in refused.keys() - self._refused.keys():
            log.error("The broker refuses %s: %s", destination, refused[destination])
        self._refused = refused

    def write(self, stop: threading.Event, period: float = FLUSH_PERIOD) -> None:
        """Write what came, each `period` seconds until `stop` is set.

        Raises:
            TurnLostError: another listener writes now.
        """
        while not stop.is_set():
            due_at = time.monotonic() + period
            self._flush(stop)
            stop.wait(max(0.0, due_at - time.monotonic()))

    def finish(self) -> None:
        """Write what is left, once; call it when nothing is received any more."""
        stopped = threading.Event()
        stopped.set()
        self._flush(stopped)
        self._flush(stopped)
        if self._writer.has_pending or self.intake.waiting:
            log.error("%d values are lost: the database is away.", self.intake.waiting)
        connection.close()

    def _flush(self, stop: threading.Event) -> None:
        try:
            if not self._turn.is_ours():
                raise TurnLostError("Another listener writes since the database was away.")
            # What is in hand from before came before, and all signs of life are taken at once.
            began_at = None if self._writer.has_pending else time.time()
            self._writer.fill()
            self._writer.flush()
            if began_at is not None:
                self._written_until = began_at
        except (DatabaseError, handlers.DatabaseAwayError) as error:
            _wait_for_database(error, stop)


class Absence:
    """Times in which nothing could be received, told as gaps while they last.

    A broker that died, or fell silent, took along what was on the way: only up to the last message
    is it known that nothing is missing. Messages come before all subscriptions are granted, too.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._since: float | None = None
        self._because = ""
        self._came_at: float | None = None
        self._told_at = 0.0

    def begin(self, last_alive: datetime | None) -> None:
        """What came since a listener last lived is missing until we are connected."""
        if last_alive is not None:
            self._since, self._because = last_alive.timestamp(), NOBODY_LISTENED

    def came(self, now: float) -> None:
        """Something was received."""
        self._came_at = now

    def look(self, now: float, *, is_connected: bool) -> None:
        """Tell what is missing; called often."""
        if is_connected and self._since is not None:
            self._tell(now)
            self._since, self._came_at = None, now
        elif is_connected and self._came_at is None:
            self._came_at = now
        elif not is_connected and self._since is None and self._came_at is not None:
            self._since, self._because = self._came_at - _ON_THE_WAY, BROKER_AWAY
        if self._since is not None and now - self._told_at >= 1:
            self._tell(now)

    def _tell(self, now: float) -> None:
        if self._since is not None and now > self._since:
            self._intake.put_gap(Missing(None, self._since, now, None, self._because))
            self._told_at = now


def _subscriptions(config: ListenerConfig) -> list[Subscription]:
    wanted = config.topics or topics_of(config.facilities, config.adara_instrument)
    return [Subscription(topic, _PREFETCH) for topic in wanted]


def _wait_for_database(error: Exception, stop: threading.Event) -> None:
    """Wait a little and let go of the connection; the next use makes a new one."""
    if isinstance(error, DatabaseError) and not is_database_away(error):
        raise error
    log.warning("Waiting for the database: %s", error)
    connection.close()
    stop.wait(_AFTER_TROUBLE)


def run(
    subscriber: Subscriber,
    publisher: Publisher,
    config: ListenerConfig,
    stop: threading.Event,
    name: str | None = None,
) -> None:
    """Listen until `stop` is set.

    Args:
        name: of this listener among others; host and process number if it has none.

    Raises:
        TurnLostError, ThreadLostError: what supervises us starts us again.
    """
    listener = Listener(subscriber, config)
    telling = housekeeping.Telling(
        name or own_name(), listener.tally, listener.intake, lambda: listener.is_connected
    )
    with side_threads({"telling": lambda: keep(telling.chores(), stop)}, stop):
        if listener.wait_for_turn(stop, telling.tell):
            _work(listener, publisher, stop)


def _work(listener: Listener, publisher: Publisher, stop: threading.Event) -> None:
    parts = {
        "receiver": lambda: listener.receive(stop),
        "pings": lambda: pings.send_pings(publisher, listener.intake, stop),
        "housekeeping": lambda: keep(housekeeping.chores(), stop),
        "history": lambda: keep(housekeeping.history(), stop),
        "watch": lambda: keep(housekeeping.watching(listener.hears), stop),
    }
    with side_threads(parts, stop):
        listener.write(stop)
    listener.finish()
