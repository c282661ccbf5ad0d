"""The workflow manager as a process: receive, record, acknowledge; and what goes on beside it."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from django.db import connection

from workflow_manager import handlers, subscriptions
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import Delivery, Subscriber
from workflow_manager.domain import destinations as names
from workflow_manager.processes import Tally

log = logging.getLogger(__name__)

# A lone message waits so long for company: a batch costs about as much as one message.
_BATCH_SECONDS = 0.01


def receive(
    subscriber: Subscriber,
    facility_root: PurePosixPath,
    batch: int,
    stop: threading.Event,
    *,
    tally: Tally,
    facilities: Sequence[str] = names.FACILITIES,
) -> None:
    """Record what arrives until `stop` is set; the batch in hand is finished first.

    Raises:
        ThreadLostError: what follows the site's queues ended by itself.
    """
    wanted = subscriptions.always(batch, facilities)
    with Consumer(subscriber, wanted, capacity=batch * len(wanted)) as consumer:
        follower = subscriptions.Follower(consumer, batch, facilities)
        with _beside("follower of the site's queues", lambda: follower.run(stop), stop):
            for deliveries in consumer.batches(size=batch, wait=_BATCH_SECONDS, until=stop):
                if _record(deliveries, facility_root, stop):
                    subscriber.ack_all(deliveries)
                    tally.count(deliveries)
    connection.close()


@contextmanager
def _beside(name: str, work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Work that goes on until `stop` is set, which the end of either sets."""
    lost: list[str] = []
    thread = _vital(name, work, stop, lost)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if lost:
        raise ThreadLostError(f"The {lost[0]} ended; the log says why.")


def _record(
    deliveries: Sequence[Delivery], facility_root: PurePosixPath, stop: threading.Event
) -> bool:
    """Wait for a database that is away: what is not recorded is not acknowledged."""
    while True:
        try:
            handlers.handle(deliveries, facility_root)
        except handlers.DatabaseAwayError as error:
            log.warning("%d messages wait for the database: %s", len(deliveries), error)
            connection.close()
            if stop.wait(1):
                return False
        else:
            return True


class ThreadLostError(Exception):
    """A part of the daemon ended in a way that must not happen; the process ends too."""


@contextmanager
def side_threads(parts: Mapping[str, Callable[[], None]], stop: threading.Event) -> Iterator[None]:
    """What works beside the receiving, each part in a thread; they end when `stop` is set.

    Raises:
        ThreadLostError: one of them ended by itself; what supervises us starts us again.
    """
    lost: list[str] = []
    threads = [_vital(name, work, stop, lost) for name, work in parts.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if lost:
        raise ThreadLostError(f"The {' and the '.join(lost)} ended; the log says why.")


def _vital(
    name: str, work: Callable[[], None], stop: threading.Event, lost: list[str]
) -> threading.Thread:
    """A thread without which the process is of no use."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("the %s failed", name)
            lost.append(name)
            stop.set()

    return threading.Thread(target=run, name=name)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT finish the batch in hand and end the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
