"""A client as the old agents have it: stomp.py, STOMP 1.1, no heart-beats, nothing of ours."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import stomp


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as it came over the wire, and when, on our steady clock."""

    destination: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float

    @property
    def run(self) -> tuple[str, int]:
        """The run that a job's message is about."""
        return (self.body["instrument"].lower(), int(self.body["run_number"]))


class PlainClient(stomp.ConnectionListener):  # type: ignore[misc]
    """Sends to any spelling, and keeps what it receives, acknowledged one by one."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.frames: list[Frame] = []
        self.errors: list[str] = []
        self._change = threading.Condition()
        self._subscriptions = 0
        self._connection = stomp.Connection11([("127.0.0.1", port)], try_loopback_connect=False)
        self._connection.set_listener("plain", self)
        self._connection.connect(user, password, wait=True)

    def close(self) -> None:
        self._connection.disconnect()

    def send(self, destination: str, text: str, *, persistent: bool = True) -> None:
        self._connection.send(
            destination, text, headers={"persistent": "true" if persistent else "false"}
        )

    def subscribe(self, destination: str) -> None:
        """As an agent does: acknowledged by the client, one message ahead at most."""
        self._subscriptions += 1
        self._connection.subscribe(
            destination,
            id=str(self._subscriptions),
            ack="client",
            headers={"activemq.prefetchSize": "1"},
        )

    def wait_for(self, condition: Callable[[], Any], seconds: float = 60) -> bool:
        """Ask again at each frame that comes, until the answer is yes."""
        with self._change:
            return self._change.wait_for(lambda: bool(condition()), seconds)

    def on_message(self, frame: Any) -> None:
        headers = frame.headers
        self._connection.ack(headers["message-id"], headers["subscription"])
        received = Frame(headers["destination"], headers, json.loads(frame.body), time.monotonic())
        with self._change:
            self.frames.append(received)
            self._change.notify_all()

    def on_error(self, frame: Any) -> None:
        with self._change:
            self.errors.append(f"{frame.headers} {frame.body}")
            self._change.notify_all()
