import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import pytest

from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import (
    BrokerUnavailableError,
    Delivery,
    OutgoingMessage,
    Subscription,
)

QUEUE = Subscription("Q", prefetch=10)


def send(broker: MemoryBroker, *bodies: bytes) -> None:
    broker.publisher().publish([OutgoingMessage("/queue/Q", body) for body in bodies])


def test_capacity_has_to_hold_the_prefetch() -> None:
    with pytest.raises(ValueError, match="capacity 9 is less than the sum of prefetches, 10"):
        Consumer(MemoryBroker().subscriber(), [QUEUE], 9)


def test_take_returns_what_is_there_without_waiting_for_more() -> None:
    broker = MemoryBroker()
    send(broker, b"1", b"2", b"3")
    with Consumer(broker.subscriber(), [QUEUE], 10) as consumer:
        assert [each.body for each in consumer.take(2, 5.0)] == [b"1", b"2"]
        assert [each.body for each in consumer.take(2, 5.0)] == [b"3"]
        assert consumer.take(2, 0.01) == []


def test_a_batch_waits_for_company() -> None:
    broker = MemoryBroker()
    stop = threading.Event()
    send(broker, b"1")
    with Consumer(broker.subscriber(), [QUEUE], 10) as consumer:
        threading.Timer(0.1, send, (broker, b"2")).start()
        batch = next(consumer.batches(2, 5.0, stop))
    assert [each.body for each in batch] == [b"1", b"2"]


def test_stale_deliveries_are_not_handed_out_and_come_again() -> None:
    broker = MemoryBroker()
    send(broker, b"1")
    subscriber = broker.subscriber()
    consumer = Consumer(subscriber, [QUEUE], 10)
    consumer.start()
    subscriber.close()
    assert consumer.take(1, 0.01) == []
    with Consumer(broker.subscriber(), [QUEUE], 10) as second:
        (again,) = second.take(1, 1.0)
    assert again.headers["redelivered"] == "true"


def test_closing_ends_the_batches_at_once() -> None:
    consumer = Consumer(MemoryBroker().subscriber(), [QUEUE], 10)
    consumer.start()
    threading.Timer(0.05, consumer.close).start()
    since = time.monotonic()
    assert list(consumer.batches(10, 5.0, threading.Event())) == []
    assert time.monotonic() - since < 1.0


def test_a_broker_that_is_switched_off_takes_nothing() -> None:
    broker = MemoryBroker()
    broker.is_available = False
    with pytest.raises(BrokerUnavailableError):
        send(broker, b"1")
    assert broker.depth("Q") == 0


class Hasty:
    """A subscriber that hands over as many as a test says, whatever was asked for."""

    is_connected = True
    subscribed: frozenset[str] = frozenset()
    refused: Mapping[str, str] = MappingProxyType({})

    def start(
        self, subscriptions: Iterable[Subscription], on_delivery: Callable[[Delivery], None]
    ) -> None:
        self.deliver = on_delivery

    def update(self, subscriptions: Iterable[Subscription]) -> None:
        """It hands over what a test says."""

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_broker_that_sends_ahead_is_not_held_back() -> None:
    """The thread that delivers also hears the heart-beats: it must never wait for the reader."""
    broker = MemoryBroker()
    send(broker, b"x")
    with Consumer(broker.subscriber(), [QUEUE], 10) as consumer:
        (delivery,) = consumer.take(1, 1.0)
        hasty = Hasty()
        with Consumer(hasty, [QUEUE], 10) as crowded:
            for _ in range(1000):
                hasty.deliver(delivery)
            assert len(crowded.take(2000, 1.0)) == 1000
