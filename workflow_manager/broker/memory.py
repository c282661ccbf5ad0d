"""A broker inside one process, for unit tests: the rules of `embedded` without a socket."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from workflow_manager.broker.embedded.memory import MemoryFullError
from workflow_manager.broker.embedded.queues import AckMode, Message, Subscription
from workflow_manager.broker.embedded.switchboard import MAX_DELIVERIES, Switchboard
from workflow_manager.broker.ports import (
    BrokerUnavailableError,
    Delivery,
    MessageRefusedError,
    OutgoingMessage,
)
from workflow_manager.broker.ports import Subscription as Wish


class MemoryBroker:
    """Queues and topics of one process; `is_available = False` plays a broker that is gone."""

    def __init__(self, max_deliveries: int = MAX_DELIVERIES) -> None:
        self.is_available = True
        self.lock = threading.RLock()
        self.switchboard = Switchboard(max_deliveries)

    def publisher(self) -> "MemoryPublisher":
        return MemoryPublisher(self)

    def subscriber(self) -> "MemorySubscriber":
        return MemorySubscriber(self)

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue (name without prefix), undelivered."""
        with self.lock:
            return len(self.switchboard.queue(queue).waiting)


class MemoryPublisher:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        with self._broker.lock:
            if not self._broker.is_available:
                raise BrokerUnavailableError("the broker in memory is switched off")
            for each in messages:
                headers = {**each.headers, "persistent": "true" if each.persistent else "false"}
                try:
                    self._broker.switchboard.send(
                        each.destination, headers, each.body, each.persistent
                    )
                except MemoryFullError as error:
                    raise MessageRefusedError(str(error)) from error

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryDelivery:
    destination: str
    message_id: str
    body: bytes
    headers: Mapping[str, str]
    _reader: Subscription
    _subscriber: "MemorySubscriber"

    @property
    def is_stale(self) -> bool:
        return self._subscriber.has_ended(self._reader)

    def ack(self) -> None:
        broker = self._subscriber.broker
        with broker.lock:
            broker.switchboard.ack(self._reader, self.message_id)

    def nack(self) -> None:
        broker = self._subscriber.broker
        with broker.lock:
            broker.switchboard.nack(self._reader, self.message_id)


class MemorySubscriber:
    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.is_connected = False
        self.refused: dict[str, str] = {}
        self._readers: dict[Wish, Subscription] = {}
        self._ended: set[str] = set()
        self._numbers = count()
        self._on_delivery: Callable[[Delivery], None] = lambda _: None

    @property
    def subscribed(self) -> frozenset[str]:
        return frozenset(wish.destination for wish in self._readers)

    def has_ended(self, reader: Subscription) -> bool:
        return not self.is_connected or reader.id in self._ended

    def start(self, subscriptions: Iterable[Wish], on_delivery: Callable[[Delivery], None]) -> None:
        self._on_delivery = on_delivery
        with self.broker.lock:
            self.is_connected = True
            self.update(subscriptions)

    def update(self, subscriptions: Iterable[Wish]) -> None:
        wanted = tuple(subscriptions)
        with self.broker.lock:
            self.refused.clear()
            for wish in self._readers.keys() - set(wanted):
                self._unsubscribe(self._readers.pop(wish))
            for wish in wanted:
                if wish not in self._readers:
                    self._subscribe(wish)

    def _subscribe(self, wish: Wish) -> None:
        try:
            self._readers[wish] = self.broker.switchboard.subscribe(
                name=str(next(self._numbers)),
                destination=wish.destination,
                mode=AckMode.INDIVIDUAL,
                prefetch=wish.prefetch,
                deliver=lambda reader, message: self._on_delivery(self._delivery(reader, message)),
            )
        except ValueError as error:
            if not wish.is_optional:
                self.refused[wish.destination] = str(error)

    def _unsubscribe(self, reader: Subscription) -> None:
        self._ended.add(reader.id)
        self.broker.switchboard.unsubscribe(reader, is_lost=False)

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            delivery.ack()

    def close(self) -> None:
        with self.broker.lock:
            self.is_connected = False
            for reader in self._readers.values():
                self.broker.switchboard.unsubscribe(reader, is_lost=False)
            self._readers.clear()

    def _delivery(self, reader: Subscription, message: Message) -> MemoryDelivery:
        headers = {
            **message.headers,
            "destination": message.destination,
            "message-id": message.id,
            "content-length": str(len(message.body)),
        }
        if message.is_redelivered and not reader.is_topic:
            headers["redelivered"] = "true"
        return MemoryDelivery(message.destination, message.id, message.body, headers, reader, self)
