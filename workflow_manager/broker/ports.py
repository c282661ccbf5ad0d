"""What the rest of the system knows of a message broker.

Two implementations pass the same contract tests: `stomp_broker` (any STOMP broker: ActiveMQ,
Artemis, or `embedded` for the demo) and `memory` (inside one process, for unit tests).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class BrokerError(Exception):
    """Something about the broker; the root of what callers may catch."""


class BrokerUnavailableError(BrokerError):
    """No broker of the list can be reached, or the connection was lost before it confirmed."""


class LoginRefusedError(BrokerError):
    """The broker is there and does not let us in: our user, password or rights are wrong."""


class MessageRefusedError(BrokerError):
    """The broker took the connection and refused a message: no right, or too large."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send. `destination` carries its prefix, `/queue/` or `/topic/`."""

    destination: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    persistent: bool = True


@dataclass(frozen=True, slots=True)
class Subscription:
    """A wish to receive from `destination`; `prefetch` unacknowledged messages at most.

    An optional one may be refused without anybody needing to know.
    """

    destination: str
    prefetch: int = 200
    is_optional: bool = False


class Delivery(Protocol):
    """A received message with its acknowledgement handle.

    `ack` and `nack` may be called from any thread, once. On a connection that is gone they do
    nothing: the broker delivers the message again, and `is_stale` tells so beforehand. So it is
    with a destination that is no longer subscribed to.
    """

    @property
    def destination(self) -> str: ...
    @property
    def message_id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_stale(self) -> bool: ...
    def ack(self) -> None: ...
    def nack(self) -> None: ...


class Publisher(Protocol):
    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send all, in order; return when the broker has confirmed every persistent one.

        Raises:
            BrokerUnavailableError: some may have arrived, some not: send all of them again.
            LoginRefusedError: the broker does not let us in; nothing was sent.
            MessageRefusedError: the broker refused one of them; send them one by one.
        """

    def close(self) -> None: ...


class Subscriber(Protocol):
    def start(
        self, subscriptions: Iterable[Subscription], on_delivery: Callable[[Delivery], None]
    ) -> None:
        """Connect in the background, keep connected, and hand over every delivery.

        `on_delivery` runs on the receiving thread: it only puts the delivery somewhere. What the
        broker refuses is asked for again from time to time; the others do not suffer from it.
        """

    def update(self, subscriptions: Iterable[Subscription]) -> None:
        """Receive from these from now on, and from no others; returns at once.

        What a destination that is left out has delivered, and nobody acknowledged, goes back to
        the broker.
        """

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge many of this subscriber's deliveries at the price of one."""

    def close(self) -> None:
        """Stop receiving; what was not acknowledged goes back to the broker."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there and every wish was granted or refused, not all refused."""

    @property
    def subscribed(self) -> frozenset[str]:
        """The destinations that the broker has granted on this connection."""

    @property
    def refused(self) -> Mapping[str, str]:
        """The destinations of those refused that are not optional, with the broker's words."""
