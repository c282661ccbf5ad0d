"""A broker inside one process, for unit tests: the rules of `embedded` without a socket."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
        return not self._subscriber.is_connected

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
        self._readers: list[Subscription] = []

    def start(self, subscriptions: Iterable[Wish], on_delivery: Callable[[Delivery], None]) -> None:
        def deliver(reader: Subscription, message: Message) -> None:
            on_delivery(self._delivery(reader, message))

        with self.broker.lock:
            self.is_connected = True
            for number, wish in enumerate(subscriptions):
                reader = self.broker.switchboard.subscribe(
                    name=str(number),
                    destination=wish.destination,
                    mode=AckMode.INDIVIDUAL,
                    prefetch=wish.prefetch,
                    deliver=deliver,
                )
                self._readers.append(reader)

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            delivery.ack()

    def close(self) -> None:
        with self.broker.lock:
            self.is_connected = False
            for reader in self._readers:
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
