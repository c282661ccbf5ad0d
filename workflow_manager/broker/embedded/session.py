"""What one client may say and what we answer. No I/O: bytes go to `write`."""

import hmac
from collections.abc import Callable, Mapping
from typing import NoReturn

from workflow_manager.broker.embedded.frames import (
    Frame,
    ProtocolError,
    encode,
    encode_headers,
)
from workflow_manager.broker.embedded.memory import MemoryFullError, weight
from workflow_manager.broker.embedded.queues import AckMode, Message, Subscription
from workflow_manager.broker.embedded.switchboard import (
    UNLIMITED_PREFETCH,
    Switchboard,
    target_of,
)

VERSIONS = ("1.0", "1.1", "1.2")
HEARTBEAT_MS = 1_000  # the shortest interval that we promise and the one that we ask for
LONGEST_TRANSACTION = 10_000  # messages, so that nobody fills our memory with promises
OF_THE_FRAME = frozenset({"receipt", "transaction", "content-length", "destination", "message-id"})


class Session:
    """One client's conversation.

    Args:
        credentials: password by user; None admits everybody.
        write: sends bytes to the client.
        is_blocked: tells that the client does not read fast enough.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        credentials: Mapping[str, str] | None,
        write: Callable[[bytes], None],
        is_blocked: Callable[[], bool],
    ) -> None:
        self.version: str | None = None
        self.is_finished = False
        self.send_every = 0.0  # seconds; 0 is never
        self.expect_every = 0.0
        self._switchboard = switchboard
        self._credentials = credentials
        self._write = write
        self._is_blocked = is_blocked
        self._subscriptions: dict[str, Subscription] = {}
        self._transactions: dict[str, list[Frame]] = {}
        self._answers = {
            "SEND": self._send,
            "ACK": self._ack,
            "NACK": self._nack,
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "BEGIN": self._begin,
            "COMMIT": self._commit,
            "ABORT": self._abort,
            "DISCONNECT": self._disconnect,
        }

    def receive(self, frame: Frame) -> None:
        """Do what the client wants.

        Raises:
            ProtocolError: it may not, or it makes no sense: the connection ends.
        """
        if self.version is None:
            self._connect(frame)
            return
        answer = self._answers.get(frame.command)
        if answer is None:
            raise ProtocolError(f"unexpected command {frame.command}")
        try:
            answer(frame)
        except MemoryFullError as error:
            raise ProtocolError(str(error)) from error
        receipt = frame.headers.get("receipt")
        if receipt is not None:
            self._reply("RECEIPT", {"receipt-id": receipt})

    def refuse(self, reason: str) -> None:
        """Tell the client why its connection ends."""
        body = reason.encode()
        summary = reason.splitlines()[0] if reason else "refused"
        headers = {
            "message": summary,
            "content-type": "text/plain",
            "content-length": str(len(body)),
        }
        self._reply("ERROR", headers, body)

    def end(self) -> None:
        """Give back what the client has not acknowledged."""
        for reader in self._subscriptions.values():
            self._switchboard.unsubscribe(reader, is_lost=not self.is_finished)
        self._subscriptions.clear()
        for name in list(self._transactions):
            self._take_transaction(name)

    def resume(self) -> None:
        """The client reads again."""
        for reader in list(self._subscriptions.values()):
            reader.pump()

    def _reply(self, command: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        self._write(encode(command, headers, body, version=self.version or "1.0"))

    def _connect(self, frame: Frame) -> None:
        if frame.command not in ("CONNECT", "STOMP"):
            raise ProtocolError(f"{frame.command} before CONNECT")
        self._check_credentials(frame)
        offered = frame.headers.get("accept-version", "1.0").replace(" ", "").split(",")
        known = [version for version in VERSIONS if version in offered]
        if not known:
            raise ProtocolError(f"we speak STOMP {', '.join(VERSIONS)}, not {', '.join(offered)}")
        self._agree_on_heartbeats(frame.headers.get("heart-beat", "0,0"))
        answer = {"version": known[-1], "server": "webmon-embedded"}
        if known[-1] != "1.0":
            answer["heart-beat"] = f"{HEARTBEAT_MS},{HEARTBEAT_MS}"
        self._write(_plain("CONNECTED", answer))
        self.version = known[-1]

    def _check_credentials(self, frame: Frame) -> None:
        if self._credentials is None:
            return
        user = frame.headers.get("login", "")
        given = frame.headers.get("passcode", "").encode()
        expected = self._credentials.get(user)
        if expected is None or not hmac.compare_digest(expected.encode(), given):
            raise ProtocolError(f"user {user!r} or its password is not valid")

    def _agree_on_heartbeats(self, header: str) -> None:
        parts = header.replace(" ", "").split(",")
        if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
            raise ProtocolError(f"heart-beat is not two numbers: {header!r}")
        theirs, wanted = int(parts[0]), int(parts[1])
        self.send_every = max(HEARTBEAT_MS, wanted) / 1000 if wanted else 0.0
        self.expect_every = max(HEARTBEAT_MS, theirs) / 1000 if theirs else 0.0

    def _send(self, frame: Frame) -> None:
        """Route a message, or keep it for its COMMIT, which then has no reason left to fail."""
        try:
            target_of(_need(frame, "destination"))
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        transaction = frame.headers.get("transaction")
        if transaction is None:
            self._route(frame)
            return
        frames = self._transaction(transaction)
        if len(frames) >= LONGEST_TRANSACTION:
            raise ProtocolError(f"more than {LONGEST_TRANSACTION} messages in a transaction")
        self._switchboard.reserve(frame.headers["destination"], _size(frame))
        frames.append(frame)

    def _route(self, frame: Frame) -> None:
        headers = {k: v for k, v in frame.headers.items() if k not in OF_THE_FRAME}
        is_persistent = headers.get("persistent", "false").lower() == "true"
        self._switchboard.send(
            frame.headers["destination"],
            headers,
            frame.body,
            is_persistent,
            may_drop=not is_persistent and "receipt" not in frame.headers,
        )

    def _subscribe(self, frame: Frame) -> None:
        destination = _need(frame, "destination")
        name = frame.headers.get("id") or (destination if self.version == "1.0" else "")
        if not name:
            raise ProtocolError("SUBSCRIBE without id")
        if name in self._subscriptions:
            raise ProtocolError(f"subscription {name!r} exists already")
        try:
            reader = self._switchboard.subscribe(
                name=name,
                destination=destination,
                mode=AckMode(frame.headers.get("ack", "auto")),
                prefetch=_prefetch(frame),
                deliver=self._deliver,
                is_blocked=self._is_blocked,
            )
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self._subscriptions[name] = reader

    def _unsubscribe(self, frame: Frame) -> None:
        name = frame.headers.get("id") or frame.headers.get("destination", "")
        reader = self._subscriptions.pop(name, None)
        if reader is None:
            raise ProtocolError(f"no subscription {name!r}")
        self._switchboard.unsubscribe(reader, is_lost=False)

    def _ack(self, frame: Frame) -> None:
        reader, message_id = self._delivered(frame)
        self._switchboard.ack(reader, message_id)

    def _nack(self, frame: Frame) -> None:
        reader, message_id = self._delivered(frame)
        self._switchboard.nack(reader, message_id)

    def _delivered(self, frame: Frame) -> tuple[Subscription, str]:
        """The subscription and message that an ACK or NACK means, in each version's words."""
        if "transaction" in frame.headers:
            raise ProtocolError("acknowledgement inside a transaction is not supported")
        if self.version == "1.2":
            message_id, _, name = _need(frame, "id").partition("|")
        else:
            message_id = _need(frame, "message-id")
            name = frame.headers.get("subscription", "")
        reader = self._subscriptions.get(name)
        if reader is None and self.version == "1.0":
            readers = self._subscriptions.values()
            reader = next((each for each in readers if message_id in each.unacked), None)
        if reader is None:
            raise ProtocolError(f"acknowledgement of {message_id!r} without a subscription")
        return reader, message_id

    def _deliver(self, reader: Subscription, message: Message) -> None:
        version = self.version or "1.0"
        fixed = message.wire.get(version)
        if fixed is None:
            fixed = message.wire[version] = encode_headers(_fixed_headers(message), version)
        special = {"subscription": reader.id}
        if version == "1.2" and reader.mode is not AckMode.AUTO:
            special["ack"] = f"{message.id}|{reader.id}"
        if message.is_redelivered and not reader.is_topic:
            special["redelivered"] = "true"
        head = (b"MESSAGE\n", fixed, encode_headers(special, version), b"\n")
        self._write(b"".join((*head, message.body, b"\0")))

    def _begin(self, frame: Frame) -> None:
        name = _need(frame, "transaction")
        if name in self._transactions:
            raise ProtocolError(f"transaction {name!r} has begun already")
        self._transactions[name] = []

    def _commit(self, frame: Frame) -> None:
        for each in self._take_transaction(_need(frame, "transaction")):
            self._route(each)

    def _abort(self, frame: Frame) -> None:
        self._take_transaction(_need(frame, "transaction"))

    def _take_transaction(self, name: str) -> list[Frame]:
        """End a transaction: the room that its messages had is free, for themselves too."""
        frames = self._transaction(name)
        del self._transactions[name]
        self._switchboard.memory.used -= sum(map(_size, frames))
        return frames

    def _transaction(self, name: str) -> list[Frame]:
        frames = self._transactions.get(name)
        if frames is None:
            raise ProtocolError(f"no transaction {name!r}")
        return frames

    def _disconnect(self, _frame: Frame) -> None:
        self.is_finished = True


def _plain(command: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{key}:{value}\n" for key, value in headers.items())
    return f"{command}\n{lines}\n\0".encode()


def _fixed_headers(message: Message) -> dict[str, str]:
    return {
        **message.headers,
        "destination": message.destination,
        "message-id": message.id,
        "content-length": str(len(message.body)),
    }


def _size(frame: Frame) -> int:
    return weight(frame.headers, frame.body)


def _need(frame: Frame, name: str) -> str:
    value = frame.headers.get(name)
    if not value:
        _missing(frame.command, name)
    return value


def _missing(command: str, name: str) -> NoReturn:
    raise ProtocolError(f"{command} without {name}")


def _prefetch(frame: Frame) -> int:
    text = frame.headers.get("activemq.prefetchSize", str(UNLIMITED_PREFETCH)).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ProtocolError(f"activemq.prefetchSize is not a number: {text!r}")
    return int(text)
