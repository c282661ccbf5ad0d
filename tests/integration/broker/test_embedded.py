"""What only our embedded broker does: echoes of prefixes, limits, and clients of all ages."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.broker.houses import EmbeddedProcess, Process, StompHouse
from tests.integration.broker.test_contract import consuming, publishing, receive, until
from workflow_manager.broker.embedded.frames import Frame, FrameParser, encode
from workflow_manager.broker.ports import MessageRefusedError, OutgoingMessage, Subscription

Name = Callable[[], str]


class Wire:
    """A raw client of one STOMP version."""

    def __init__(self, process: Process, version: str, **headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", process.port), timeout=10)
        self._parser = FrameParser()
        self._frames: list[Frame] = []
        login = {"login": process.user, "passcode": process.password, **headers}
        if version != "1.0":
            login |= {"accept-version": version, "host": "/"}
        self.send("CONNECT", login)
        self.connected = self.read()
        self.version = self._parser.version = version

    version = "1.0"

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        if command == "CONNECT":
            lines = "".join(f"{key}:{value}\n" for key, value in headers.items())
            self.socket.sendall(f"CONNECT\n{lines}\n\0".encode())
        else:
            self.socket.sendall(encode(command, headers, body, version=self.version))

    def read(self) -> Frame:
        while not self._frames:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the broker closed the connection")
            self._frames += self._parser.feed(data)
        return self._frames.pop(0)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProcess]:
    broker = EmbeddedProcess(tmp_path_factory.mktemp("embedded"), "--max-deliveries", "3")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def ours(process: EmbeddedProcess) -> StompHouse:
    return StompHouse("embedded", process)


@pytest.mark.parametrize("prefix", ["", "/queue/"])
def test_the_senders_prefix_is_echoed(ours: StompHouse, name: Name, prefix: str) -> None:
    queue = name()
    with publishing(ours) as publisher, consuming(ours, Subscription(queue)) as consumer:
        publisher.publish([OutgoingMessage(prefix + queue, b"1")])
        assert receive(consumer, 1)[0].destination == prefix + queue


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_clients_of_every_version(process: EmbeddedProcess, name: Name, version: str) -> None:
    queue = f"/queue/{name()}"
    with closing(Wire(process, version)) as wire:
        assert wire.connected.headers["version"] == version
        wire.send("SUBSCRIBE", {"id": "s", "destination": queue, "ack": "client"})
        wire.send("SEND", {"destination": queue, "receipt": "r-1", "odd": "x:y"}, b"hello")
        answers = {frame.command: frame for frame in (wire.read(), wire.read())}
        assert answers["RECEIPT"].headers["receipt-id"] == "r-1"
        message = answers["MESSAGE"]
        assert (message.body, message.headers["odd"]) == (b"hello", "x:y")
        assert ("ack" in message.headers) == (version == "1.2")
        wire.send("ACK", _handle(version, message) | {"receipt": "r-2"})
        assert wire.read().headers["receipt-id"] == "r-2"
    with closing(Wire(process, version)) as wire:
        wire.send("SUBSCRIBE", {"id": "s", "destination": queue, "receipt": "none-left"})
        assert wire.read().command == "RECEIPT"


def _handle(version: str, message: Frame) -> dict[str, str]:
    if version == "1.2":
        return {"id": message.headers["ack"]}
    handle = {"message-id": message.headers["message-id"]}
    return handle if version == "1.0" else handle | {"subscription": "s"}


def test_prefetch_zero_is_one_at_a_time(process: EmbeddedProcess, name: Name) -> None:
    queue = f"/queue/{name()}"
    with closing(Wire(process, "1.1")) as wire:
        header = {"id": "s", "destination": queue, "ack": "client", "activemq.prefetchSize": "0"}
        wire.send("SUBSCRIBE", header)
        for number in (b"1", b"2"):
            wire.send("SEND", {"destination": queue, "receipt": "r"}, number)
        frames = [wire.read() for _ in range(3)]
        assert sorted(frame.command for frame in frames) == ["MESSAGE", "RECEIPT", "RECEIPT"]
        first = next(frame for frame in frames if frame.command == "MESSAGE")
        wire.send("ACK", _handle("1.1", first))
        assert wire.read().body == b"2"


def test_client_mode_acknowledges_all_before(process: EmbeddedProcess, name: Name) -> None:
    queue = f"/queue/{name()}"
    subscribe = {"id": "s", "destination": queue, "ack": "client"}
    with closing(Wire(process, "1.1")) as wire:
        for number in (b"1", b"2", b"3"):
            wire.send("SEND", {"destination": queue}, number)
        wire.send("SUBSCRIBE", subscribe)
        messages = [wire.read() for _ in range(3)]
        wire.send("ACK", _handle("1.1", messages[1]))
        wire.send("DISCONNECT", {"receipt": "bye"})
        assert wire.read().headers["receipt-id"] == "bye"
    with closing(Wire(process, "1.1")) as wire:
        wire.send("SUBSCRIBE", subscribe)
        again = wire.read()
        assert (again.body, again.headers["redelivered"]) == (b"3", "true")


def test_a_transaction_sends_all_or_nothing(process: EmbeddedProcess, name: Name) -> None:
    queue = f"/queue/{name()}"
    with closing(Wire(process, "1.2")) as wire:
        wire.send("SUBSCRIBE", {"id": "s", "destination": queue})
        for end in ("ABORT", "COMMIT"):
            wire.send("BEGIN", {"transaction": "t"})
            wire.send("SEND", {"destination": queue, "transaction": "t"}, end.encode())
            wire.send(end, {"transaction": "t"})
        assert wire.read().body == b"COMMIT"


def test_a_message_refused_too_often_is_parked(ours: StompHouse, name: Name) -> None:
    queue = name()
    with (
        publishing(ours) as publisher,
        consuming(ours, Subscription(queue)) as consumer,
        consuming(ours, Subscription("DLQ")) as dead_letters,
    ):
        publisher.publish([OutgoingMessage(f"/queue/{queue}", b"poison")])
        for _ in range(3):
            receive(consumer, 1)[0].nack()
        (parked,) = receive(dead_letters, 1)
        assert parked.body == b"poison"
        assert parked.headers["original-destination"] == f"/queue/{queue}"
        assert "3 times" in parked.headers["dead-letter-reason"]
        parked.ack()


def test_too_large_is_refused_and_said(ours: StompHouse, name: Name) -> None:
    with publishing(ours) as publisher, pytest.raises(MessageRefusedError, match="larger than"):
        publisher.publish([OutgoingMessage(f"/queue/{name()}", b"x" * (1024 * 1024 + 1))])


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 50,
        b"SEND\n" + b"a:b\n" * 10_000 + b"\n\0",
        b"CONNECT\nlogin:workflow\npasscode:wrong\n\n\0",
        b"SEND\ndestination:/queue/X\n\n\0",
        b"x" * 200_000,
    ],
)
def test_malformed_frames_harm_nobody(process: EmbeddedProcess, garbage: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", process.port), timeout=10)) as stranger:
        stranger.sendall(garbage)
        answer = b""
        while data := stranger.recv(65536):
            answer += data
        assert answer.startswith(b"ERROR\n")
    with closing(Wire(process, "1.2")) as wire:
        assert wire.connected.command == "CONNECTED"


def test_a_silent_client_is_dropped_and_loses_nothing(process: EmbeddedProcess, name: Name) -> None:
    """F11, the other way: a client that is connected and gone."""
    queue = f"/queue/{name()}"
    subscribe = {"id": "s", "destination": queue, "ack": "client"}
    with (
        closing(Wire(process, "1.2", **{"heart-beat": "1000,0"})) as silent,
        closing(Wire(process, "1.2")) as other,
    ):
        silent.send("SUBSCRIBE", subscribe)
        silent.send("SEND", {"destination": queue}, b"1")
        assert silent.read().body == b"1"
        since = time.monotonic()
        other.send("SUBSCRIBE", subscribe)
        assert other.read().body == b"1"
        assert 1.0 < time.monotonic() - since < 3.0


def test_a_reader_that_does_not_read_costs_a_bounded_amount(
    process: EmbeddedProcess, name: Name
) -> None:
    topic = f"/topic/{name()}"
    with closing(Wire(process, "1.2")) as lazy, closing(Wire(process, "1.2")) as sender:
        lazy.send("SUBSCRIBE", {"id": "s", "destination": topic})
        for _ in range(300):
            sender.send("SEND", {"destination": topic}, b"x" * 100_000)
        sender.send("SEND", {"destination": topic, "receipt": "through"}, b"")
        assert sender.read().headers["receipt-id"] == "through"


def test_kills_of_a_reader_do_not_dead_letter_what_it_had_not_touched(
    process: EmbeddedProcess, name: Name
) -> None:
    queue = f"/queue/{name()}"
    subscribe = {"id": "s", "destination": queue, "ack": "client-individual"}
    bodies = [str(number).encode() for number in range(10)]
    with closing(Wire(process, "1.2")) as sender:
        for body in bodies:
            sender.send("SEND", {"destination": queue, "receipt": "r"}, body)
            sender.read()
    done = []
    for _ in range(10):  # each reader handles one message and is killed with the rest in hand
        with closing(Wire(process, "1.2")) as reader:
            reader.send("SUBSCRIBE", subscribe)
            message = reader.read()
            reader.send("ACK", {"id": message.headers["ack"], "receipt": "r"})
            done.append(message.body)
            while reader.read().command != "RECEIPT":
                pass
    assert done == bodies


def test_it_announces_itself_once_ready(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "workflow_manager.broker.embedded", "--port", "0"]
    with subprocess.Popen(
        [*command, "--ready-file", str(ready)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as broker:
        assert broker.stdout is not None
        said = json.loads(broker.stdout.readline())
        assert until(ready.exists)
        assert json.loads(ready.read_text()) == said
        socket.create_connection((said["host"], said["port"])).close()
        broker.terminate()
        assert broker.wait(10) == 0
