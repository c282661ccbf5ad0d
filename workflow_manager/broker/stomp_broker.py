"""The broker over STOMP 1.2: ActiveMQ Classic, Artemis, or our embedded one.

Every connection attempt gets a fresh stomp.py object and the reconnect loop is ours, because a
reused one loses its heart-beat thread (stomp.py #351) and can stay on a dead host (#364).
"""

import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType
from typing import Any

import stomp
from stomp.exception import StompException

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import (
    BrokerError,
    BrokerUnavailableError,
    Delivery,
    LoginRefusedError,
    MessageRefusedError,
    OutgoingMessage,
    Subscription,
)
from workflow_manager.broker.refusals import Refusals

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3.0  # seconds, for each broker of the list
RECEIPT_TIMEOUT = 15.0  # seconds, for all receipts of one batch
DISCONNECT_TIMEOUT = 2.0  # seconds, for a polite goodbye
LONGEST_PAUSE = 10.0  # seconds between two rounds of connection attempts
HEARTBEAT_GRACE = 1.5  # silence is death after this many intervals
NOTHING = {"selector": "1 = 0"}  # of a subscription that only asks whether we may
ARTEMIS_BYTES_PER_MESSAGE = 1_024  # of a typical message with its headers
ARTEMIS_MOST_SINGLES = 64  # up to here a prefetch is exact on Artemis

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"})


def _frame(command: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [f"{k.translate(_ESCAPES)}:{v.translate(_ESCAPES)}\n" for k, v in headers.items()]
    return f"{command}\n{''.join(lines)}\n".encode() + body + b"\x00"


def _send_frame(message: OutgoingMessage, extra: Mapping[str, str]) -> bytes:
    headers = {
        **message.headers,
        "destination": message.destination,
        "persistent": "true" if message.persistent else "false",
        "content-length": str(len(message.body)),
        **extra,
    }
    return _frame("SEND", headers, message.body)


def _batch_frames(messages: Sequence[OutgoingMessage], receipt: Callable[[], str]) -> bytes:
    """All messages, ready for the wire, with the receipts that make sure of the persistent ones.

    Several persistent ones go as one transaction: the broker then synchronises its journal once,
    not once for each message.
    """
    if sum(each.persistent for each in messages) < 2:
        return b"".join(
            _send_frame(each, {"receipt": receipt()} if each.persistent else {})
            for each in messages
        )
    confirmed = receipt()
    name = {"transaction": f"t-{confirmed}"}
    sends = [_send_frame(each, name) for each in messages]
    commit = _frame("COMMIT", {**name, "receipt": confirmed})
    return b"".join((_frame("BEGIN", name), *sends, commit))


def _limits(wanted: Subscription, *, is_artemis: bool) -> list[Mapping[str, str]]:
    """The limits of the subscriptions that make one of ours.

    Classic counts messages, and never delivers for 0. Artemis counts bytes, and 0 is one message
    at a time: so many readers of a queue keep an agent to its slots, whatever a job weighs.
    """
    prefetch = max(1, wanted.prefetch)
    if not is_artemis:
        return [{"activemq.prefetchSize": str(prefetch)}]
    if prefetch == 1:
        return [{"consumer-window-size": "0"}]
    if prefetch <= ARTEMIS_MOST_SINGLES and not wanted.destination.startswith("/topic/"):
        return [{"consumer-window-size": "0"}] * prefetch
    return [{"consumer-window-size": str(prefetch * ARTEMIS_BYTES_PER_MESSAGE)}]


def _message_id(headers: Mapping[str, str], *, is_artemis: bool) -> str:
    """A name that is the same at each delivery of a message, and that no other one gets.

    Artemis writes `reader,message` (other releases `reader#message`), where the reader is another
    one after each reconnection, and begins to count again when its journal is new: the time of
    sending tells those apart.
    """
    given = headers.get("message-id", "")
    if not is_artemis:
        return given
    number = given.replace("#", ",").rpartition(",")[2]
    return f"{number}@{headers.get('timestamp', '')}"


class _Link(stomp.ConnectionListener):  # type: ignore[misc]
    """One connection to one broker, from its first byte to its end; never used again after."""

    def __init__(
        self,
        config: BrokerConfig,
        address: tuple[str, int],
        on_message: Callable[[Any], None],
        on_gone: Callable[[], None],
    ) -> None:
        self.address = address
        self.readers: dict[Subscription, list[str]] = {}  # granted, with their numbers
        self.ended: set[str] = set()  # numbers of what was granted and given up
        self.gone = threading.Event()
        self.refusal: str | None = None
        self.is_artemis = False
        self._on_message = on_message
        self._on_gone = on_gone
        self._reader_numbers = count()
        self._acknowledging = threading.Lock()
        self._settled = threading.Event()
        self._is_open = False
        self._receipts = count(1)
        self._awaited: set[str] = set()
        self._change = threading.Condition()
        self._stomp = stomp.StompConnection12(
            [address],
            prefer_localhost=False,
            try_loopback_connect=False,
            reconnect_attempts_max=1,
            reconnect_sleep_initial=0.0,
            timeout=CONNECT_TIMEOUT,
            heartbeats=(config.heartbeat_ms, config.heartbeat_ms),
            auto_decode=False,
            heart_beat_receive_scale=HEARTBEAT_GRACE,
        )
        self._stomp.set_listener("link", self)
        self._silence_limit = max(1.0, HEARTBEAT_GRACE * config.heartbeat_ms / 1000)

    def open(self, config: BrokerConfig) -> None:
        """Connect and log in.

        Raises:
            BrokerUnavailableError: nobody there, or nobody who speaks STOMP in time.
            MessageRefusedError: the broker refused us.
        """
        try:
            self._stomp.connect(config.user, config.password)
            self._tune()
        except (StompException, OSError, AttributeError) as error:
            self.abandon()
            raise self._failure(f"cannot connect: {error or type(error).__name__}") from error
        self._settled.wait(CONNECT_TIMEOUT)
        if not self._is_open:
            self.abandon()
            raise self._failure(f"no answer to the log-in within {CONNECT_TIMEOUT:g} s")

    def _tune(self) -> None:
        sock: socket.socket = self._stomp.transport.socket
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A frozen broker with a full window must not hold a sender for ever.
        limit = struct.pack("ll", int(self._silence_limit), 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _failure(self, text: str) -> BrokerError:
        where = f"broker {self.address[0]}:{self.address[1]}"
        if self.refusal is not None:
            return MessageRefusedError(f"{where} refused: {self.refusal}")
        return BrokerUnavailableError(f"{where}: {text}")

    def send(self, data: bytes) -> None:
        """Write frames that are ready for the wire; thread-safe.

        Raises:
            BrokerUnavailableError, MessageRefusedError: the connection is gone.
        """
        if self.gone.is_set():
            raise self._failure("the connection is lost")
        try:
            self._stomp.transport.send(data)
        except (StompException, OSError, AttributeError) as error:
            self.abandon()
            raise self._failure(f"the connection broke while sending: {error}") from error

    def receipt(self) -> str:
        """A new receipt number that `await_receipts` will wait for."""
        name = f"r{next(self._receipts)}"
        with self._change:
            self._awaited.add(name)
        return name

    def await_receipts(self, timeout: float) -> None:
        """Return when every receipt asked for has come.

        Raises:
            BrokerUnavailableError, MessageRefusedError: lost, refused, or too late.
        """
        with self._change:
            self._change.wait_for(lambda: not self._awaited or self.gone.is_set(), timeout)
            missing = bool(self._awaited)
        if missing:
            self.abandon()
            raise self._failure("the broker did not confirm what it was sent")

    def subscribe(self, wanted: Subscription, extra: Mapping[str, str] = NO_HEADERS) -> None:
        """Ask for what `wanted` says and return when it is granted.

        Raises:
            BrokerUnavailableError, MessageRefusedError: the connection is gone.
        """
        headers = {"destination": wanted.destination, "ack": "client-individual", **extra}
        limits = _limits(wanted, is_artemis=self.is_artemis)
        numbers = [str(next(self._reader_numbers)) for _ in limits]
        frames = [
            _frame("SUBSCRIBE", {"id": number, **headers, **limit, "receipt": self.receipt()})
            for number, limit in zip(numbers, limits, strict=True)
        ]
        self.send(b"".join(frames))
        self.await_receipts(RECEIPT_TIMEOUT)
        # Replaced, not changed: other threads look at it.
        self.readers = {**self.readers, wanted: numbers}

    def unsubscribe(self, given_up: Subscription) -> None:
        """Stop receiving it; the broker takes back what was not acknowledged.

        Raises:
            BrokerUnavailableError, MessageRefusedError: the connection is gone.
        """
        numbers = self.readers[given_up]
        self.readers = {each: n for each, n in self.readers.items() if each != given_up}
        with self._acknowledging:
            self.ended |= set(numbers)
            self.send(b"".join(_frame("UNSUBSCRIBE", {"id": number}) for number in numbers))

    def settle(self, deliveries: "Iterable[StompDelivery]", command: str) -> None:
        """Say `ACK` or `NACK` of these; what is stale the broker delivers again anyway."""
        with self._acknowledging:
            frames = [each.settlement(command) for each in deliveries if not each.is_stale]
            if not frames:
                return
            try:
                self.send(b"".join(frames))
            except BrokerError as error:
                log.info("acknowledgement not sent: %s", error)

    def close(self) -> None:
        """Say goodbye and wait for the answer, so that acknowledgements before it count."""
        if not self.gone.is_set():
            try:
                self.send(_frame("DISCONNECT", {"receipt": self.receipt()}))
                self.await_receipts(DISCONNECT_TIMEOUT)
            except BrokerError as error:
                log.info("no goodbye from the broker: %s", error)
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection at once."""
        self._mark_gone()
        try:
            self._stomp.transport.disconnect_socket()
        except AttributeError:  # stomp.py's own thread took the socket away in between
            log.debug("the connection to %s:%d was already closed", *self.address)

    def _mark_gone(self) -> None:
        self.gone.set()
        self._settled.set()
        with self._change:
            self._change.notify_all()
        self._on_gone()

    # What stomp.py calls, on its own threads: none of these may raise.

    def on_connected(self, frame: Any) -> None:
        self.is_artemis = "artemis" in frame.headers.get("server", "").lower()
        self._is_open = True
        self._settled.set()

    def on_message(self, frame: Any) -> None:
        self._on_message(frame)

    def on_receipt(self, frame: Any) -> None:
        with self._change:
            self._awaited.discard(frame.headers.get("receipt-id", ""))
            if not self._awaited:
                self._change.notify_all()

    def on_error(self, frame: Any) -> None:
        summary = frame.headers.get("message", "")
        details = (frame.body or b"").decode("utf-8", "replace").strip()
        self.refusal = "\n".join(part for part in (summary, details) if part) or "no reason given"
        # Whoever used the connection gets the same words, and says how bad it is.
        log.info("broker %s:%d refused: %s", *self.address, self.refusal)
        self._mark_gone()

    def on_disconnected(self) -> None:
        self._mark_gone()

    def on_heartbeat_timeout(self) -> None:
        log.warning("broker %s:%d is silent; connection dropped", *self.address)
        self._mark_gone()


def _ignore(_frame: Any) -> None:
    """A publisher has no subscriptions, so nothing is delivered to it."""


def _unheard() -> None:
    """A publisher looks at its connection when it needs it."""


def _open_link(
    config: BrokerConfig,
    on_message: Callable[[Any], None] = _ignore,
    on_gone: Callable[[], None] = _unheard,
) -> _Link:
    """A connection to the first broker of the list that takes us.

    Raises:
        LoginRefusedError: none took us and at least one refused.
        BrokerUnavailableError: none can be reached.
    """
    failures: list[BrokerError] = []
    for address in config.brokers:
        link = _Link(config, address, on_message, on_gone)
        try:
            link.open(config)
        except BrokerError as error:
            failures.append(error)
        else:
            log.info("connected to broker %s:%d", *address)
            return link
    text = "; ".join(str(failure) for failure in failures) or "the list of brokers is empty"
    if any(isinstance(failure, MessageRefusedError) for failure in failures):
        raise LoginRefusedError(text)
    raise BrokerUnavailableError(text)


class StompPublisher:
    """Sends and waits for confirmation; connects when there is something to send."""

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._link: _Link | None = None

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send all in order, all at once, then wait for the receipts. See `ports.Publisher`."""
        if not messages:
            return
        with self._lock:
            link = self._connected()
            link.send(_batch_frames(messages, link.receipt))
            link.await_receipts(RECEIPT_TIMEOUT)

    def _connected(self) -> _Link:
        if self._link is not None and self._link.gone.is_set():
            self._link.abandon()
            self._link = None
        if self._link is None:
            self._link = _open_link(self._config)
        return self._link

    def close(self) -> None:
        with self._lock:
            if self._link is not None:
                self._link.close()
            self._link = None


@dataclass(frozen=True, slots=True, eq=False)
class StompDelivery:
    """A MESSAGE frame and the connection on which its acknowledgement counts."""

    destination: str
    message_id: str
    body: bytes
    headers: Mapping[str, str]
    _link: _Link

    @property
    def is_stale(self) -> bool:
        link = self._link
        if link.gone.is_set():
            return True
        return bool(link.ended) and self.headers.get("subscription") in link.ended

    def ack(self) -> None:
        self._link.settle([self], "ACK")

    def nack(self) -> None:
        if self._link.is_artemis and not self.is_stale:
            # It takes NACK for ACK, and the message is lost; what a lost connection held is not.
            self._link.abandon()
        else:
            self._link.settle([self], "NACK")

    def settlement(self, command: str) -> bytes:
        """The frame that settles this delivery, `ACK` or `NACK`."""
        return _frame(command, {"id": self.headers.get("ack", self.message_id)})


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, capped, and never in step."""
    for attempt in count():
        longest = min(LONGEST_PAUSE, 0.25 * 2 ** min(attempt, 6))
        yield longest * random.uniform(0.5, 1.0)  # noqa: S311  (spreads load, hides nothing)


class _RefusedError(Exception):
    """A subscription was refused, and the connection with it; it is left out of the next one."""


class StompSubscriber:
    """Keeps subscriptions alive over lost connections, until closed.

    Brokers end the connection when they refuse a subscription (Artemis after a while, and without
    saying which one), so each is asked for by itself: the refused one is left out of the next
    connection. Once all is well, what is new or was refused is first asked for on a connection of
    its own, which only learns whether we may.
    """

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._wanted: tuple[Subscription, ...] = ()
        self._granted: set[Subscription] = set()  # at any time
        self._refusals = Refusals()
        self._is_subscribed = False
        self._thread: threading.Thread | None = None

    @property
    def is_connected(self) -> bool:
        link = self._link
        if link is None or not self._is_subscribed or link.gone.is_set():
            return False
        return bool(link.readers) or not self._wanted

    @property
    def subscribed(self) -> frozenset[str]:
        link = self._link
        if link is None or link.gone.is_set():
            return frozenset()
        return frozenset(each.destination for each in link.readers)

    @property
    def refused(self) -> Mapping[str, str]:
        return self._refusals.words()

    def start(
        self, subscriptions: Iterable[Subscription], on_delivery: Callable[[Delivery], None]
    ) -> None:
        """See `ports.Subscriber`. Returns at once; `is_connected` tells when it is there."""
        self._wanted = tuple(subscriptions)
        self._thread = threading.Thread(
            target=self._keep_connected, args=(on_delivery,), name="broker", daemon=True
        )
        self._thread.start()

    def update(self, subscriptions: Iterable[Subscription]) -> None:
        """See `ports.Subscriber`. A wish is one and the same only with the same prefetch."""
        wanted = tuple(subscriptions)
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    def ack_all(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge many with one write for each connection they came on."""
        by_link: dict[_Link, list[StompDelivery]] = {}
        for delivery in deliveries:
            if isinstance(delivery, StompDelivery):
                by_link.setdefault(delivery._link, []).append(delivery)
            else:
                delivery.ack()
        for link, settled in by_link.items():
            link.settle(settled, "ACK")

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        if self._thread is not None:
            self._thread.join(CONNECT_TIMEOUT * max(1, len(self._config.brokers)))

    def _keep_connected(self, on_delivery: Callable[[Delivery], None]) -> None:
        pauses = _pauses()
        while not self._closing.is_set():
            try:
                link = self._connect(on_delivery)
                since = time.monotonic()
                self._serve(link)
                if time.monotonic() - since > LONGEST_PAUSE:
                    pauses = _pauses()  # it worked for a while: try again soon
            except _RefusedError:
                continue  # with one wish less
            except BrokerError as error:
                log.error("not subscribed, trying again: %s", error)  # noqa: TRY400
            except Exception:
                # A thread's end, where an error would vanish and leave the process deaf.
                log.exception("receiving failed in a way that must not happen, trying again")
            self._closing.wait(next(pauses))

    def _connect(self, on_delivery: Callable[[Delivery], None]) -> _Link:
        receiver = _Receiver(on_delivery)
        link = _open_link(self._config, receiver.receive, self._wake.set)
        receiver.link = link
        with self._lock:
            self._link = link
        if self._closing.is_set():
            link.close()
        return link

    def _serve(self, link: _Link) -> None:
        """Keep this connection's subscriptions as they are wanted, until it ends.

        Raises:
            _RefusedError: it ended because of a subscription.
            BrokerError: it ended while one was asked for.
        """
        try:
            while not link.gone.is_set():
                self._wake.clear()
                self._adjust(link)
                self._is_subscribed = True
                if not link.gone.is_set():
                    self._wake.wait(self._refusals.pause())
        finally:
            self._is_subscribed = False
            if not self._closing.is_set():
                link.abandon()
        if not self._closing.is_set():
            log.warning("connection to broker %s:%d lost: %s", *link.address, link.refusal or "")

    def _adjust(self, link: _Link) -> None:
        wanted = self._wanted
        self._refusals.keep_only(wanted)
        for each in link.readers.keys() - set(wanted):
            link.unsubscribe(each)
        missing = [each for each in wanted if each not in link.readers]
        # What was never granted comes first: if it ends the connection, nothing is in hand.
        for each in sorted(missing, key=self._granted.__contains__):
            if not self._refusals.holds(each) and self._may_ask(link, each):
                self._subscribe(link, each)

    def _may_ask(self, link: _Link, wanted: Subscription) -> bool:
        """Whether this connection can be asked for it without harm to what it has."""
        if not self._is_subscribed or wanted in self._granted:
            return True
        return self._is_granted_elsewhere(wanted, link)

    def _is_granted_elsewhere(self, wanted: Subscription, link: _Link) -> bool:
        probe = _Link(self._config, link.address, _ignore, _unheard)
        try:
            probe.open(self._config)
            probe.subscribe(replace(wanted, prefetch=1), NOTHING)
        except BrokerError as error:
            self._refusals.add(wanted, probe.refusal or str(error))
            return False
        finally:
            probe.close()
        return True

    def _subscribe(self, link: _Link, wanted: Subscription) -> None:
        try:
            link.subscribe(wanted)
        except MessageRefusedError as error:
            self._granted.discard(wanted)
            self._refusals.add(wanted, link.refusal or str(error))
            raise _RefusedError from error
        except BrokerUnavailableError as error:
            if self._closing.is_set() or not self._refusals.is_to_blame(wanted):
                raise
            self._granted.discard(wanted)
            self._refusals.add(wanted, f"The connection ended when it was asked for: {error}")
            raise _RefusedError from error
        self._granted.add(wanted)
        self._refusals.forget(wanted)


class _Receiver:
    """Makes deliveries of the frames of one connection."""

    def __init__(self, on_delivery: Callable[[Delivery], None]) -> None:
        self.link: _Link | None = None
        self._on_delivery = on_delivery

    def receive(self, frame: Any) -> None:
        link = self.link
        if link is None or link.gone.is_set():
            return
        headers: Mapping[str, str] = MappingProxyType(frame.headers)
        delivery = StompDelivery(
            destination=headers.get("destination", ""),
            message_id=_message_id(headers, is_artemis=link.is_artemis),
            body=frame.body or b"",
            headers=headers,
            _link=link,
        )
        try:
            self._on_delivery(delivery)
        except Exception:  # the boundary to stomp.py, which would hide it
            log.exception("the receiver of %s failed", delivery.message_id)
            delivery.nack()
