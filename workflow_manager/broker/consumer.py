"""The one receive loop that every daemon and the agent use.

The receiving thread only puts deliveries into a queue; work happens in the thread that asks for
them. That thread never waits: it hears the broker's heart-beats too.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType

from workflow_manager.broker.ports import Delivery, Subscriber, Subscription

log = logging.getLogger(__name__)

STOP_LATENCY = 0.2  # seconds within which a set `until` is noticed


class Consumer:
    """Receives `subscriptions` through `subscriber` and hands deliveries out.

    Args:
        capacity: how many deliveries are expected to wait here, at least the sum of the
            prefetches. A broker that counts bytes (Artemis) may send more small ones. They are
            kept, because its own limit bounds them; the log tells.
    """

    def __init__(
        self, subscriber: Subscriber, subscriptions: Sequence[Subscription], capacity: int
    ) -> None:
        needed = _needed(subscriptions)
        if capacity < needed:
            raise ValueError(f"capacity {capacity} is less than the sum of prefetches, {needed}")
        self._subscriber = subscriber
        self._subscriptions = tuple(subscriptions)
        self._capacity = capacity
        self._waiting: deque[Delivery] = deque()
        self._change = threading.Condition()
        self._is_closed = False
        self._sweep_at = capacity

    def __enter__(self) -> "Consumer":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        return self._subscriber.is_connected

    @property
    def refused(self) -> Mapping[str, str]:
        return self._subscriber.refused

    def start(self) -> None:
        self._subscriber.start(self._subscriptions, self._put)

    def update(self, subscriptions: Sequence[Subscription]) -> None:
        """Receive from these from now on, and from no others; the capacity grows as needed."""
        with self._change:
            self._subscriptions = tuple(subscriptions)
            self._capacity = max(self._capacity, _needed(subscriptions))
            self._sweep_at = max(self._sweep_at, self._capacity)
        self._subscriber.update(subscriptions)

    def close(self) -> None:
        """Stop receiving; what was not acknowledged goes back to the broker."""
        with self._change:
            self._is_closed = True
            self._waiting.clear()
            self._change.notify_all()
        self._subscriber.close()

    def batches(self, size: int, wait: float, until: threading.Event) -> Iterator[list[Delivery]]:
        """Yield what is there, at most `size`, gathered for `wait` seconds after the first one.

        Ends after the batch in hand when `until` is set, or when the consumer is closed.
        """
        while not until.is_set() and not self._is_closed:
            batch = self._gather(size, wait, until)
            if batch:
                yield batch

    def take(self, limit: int, timeout: float) -> list[Delivery]:
        """At most `limit` deliveries that wait now; at least one unless `timeout` seconds pass."""
        with self._change:
            self._wait_for_some(1, time.monotonic() + timeout, lambda: False)
            return self._pop(limit)

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge a whole batch at the price of one."""
        self._subscriber.ack_all(deliveries)

    def _put(self, delivery: Delivery) -> None:
        with self._change:
            if self._is_closed:
                return
            if len(self._waiting) >= self._sweep_at:
                self._sweep()
            self._waiting.append(delivery)
            self._change.notify_all()

    def _sweep(self) -> None:
        """Rarely, at each doubling: what comes beyond the capacity comes by the thousand."""
        self._drop_stale()
        if len(self._waiting) >= self._capacity:
            log.info("%d deliveries wait; the broker sends ahead", len(self._waiting))
        self._sweep_at = max(self._capacity, 2 * len(self._waiting))

    def _gather(self, size: int, wait: float, until: threading.Event) -> list[Delivery]:
        with self._change:
            if not self._wait_for_some(1, time.monotonic() + STOP_LATENCY, until.is_set):
                return []
            self._wait_for_some(size, time.monotonic() + wait, until.is_set)
            return self._pop(size)

    def _wait_for_some(self, number: int, deadline: float, stop: Callable[[], bool]) -> bool:
        """Wait until `number` are there; tell whether any is."""
        while len(self._waiting) < number and not self._is_closed and not stop():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._change.wait(min(left, STOP_LATENCY))
        return bool(self._waiting)

    def _pop(self, limit: int) -> list[Delivery]:
        self._drop_stale()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._change.notify_all()
        return taken

    def _drop_stale(self) -> None:
        """Forget deliveries of lost connections: the broker delivers them again."""
        if any(each.is_stale for each in self._waiting):
            self._waiting = deque(each for each in self._waiting if not each.is_stale)


def _needed(subscriptions: Sequence[Subscription]) -> int:
    return sum(max(1, each.prefetch) for each in subscriptions)
