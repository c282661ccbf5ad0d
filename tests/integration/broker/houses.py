"""The brokers under test, behind one face: where they are and how to hurt them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tests.activemq import ActiveMQ
from tests.artemis import Artemis
from tests.broker_process import free_port
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import Publisher, Subscriber
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber

HEARTBEAT_MS = 1_000


class Process(Protocol):
    """A broker in its own process; the port outlives `stop` and `kill`."""

    port: int
    user: str

    @property
    def password(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def suspend(self) -> None: ...
    def resume(self) -> None: ...


class EmbeddedProcess:
    """`python -m workflow_manager.broker.embedded` with a state file and one user."""

    user = "workflow"
    password = "a password for tests"

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        credentials = self._directory / "credentials.json"
        credentials.write_text(json.dumps({self.user: self.password}))
        command = [sys.executable, "-m", "workflow_manager.broker.embedded", *self._options]
        command += ["--port", str(self.port), "--credentials", str(credentials)]
        command += ["--state", str(self._directory / "state.jsonl")]
        with (self._directory / "broker.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline())["port"] == self.port

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._end()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._end()

    def suspend(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(20)
        self._process.stdout.close()
        self._process = None


class House(Protocol):
    """A broker that runs, and clients for it."""

    name: str

    def publisher(self) -> Publisher: ...
    def subscriber(self) -> Subscriber: ...


class MemoryHouse:
    name = "memory"

    def __init__(self) -> None:
        self._broker = MemoryBroker()

    def publisher(self) -> Publisher:
        return self._broker.publisher()

    def subscriber(self) -> Subscriber:
        return self._broker.subscriber()


class StompHouse:
    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.config = BrokerConfig(
            (("127.0.0.1", process.port),), process.user, process.password, HEARTBEAT_MS
        )

    def publisher(self) -> StompPublisher:
        return StompPublisher(self.config)

    def subscriber(self) -> StompSubscriber:
        return StompSubscriber(self.config)

    def stranger(self) -> BrokerConfig:
        """Somebody with a wrong password."""
        return replace(self.config, password="wrong")


_PROCESSES: dict[str, Callable[[Path], Process]] = {
    "embedded": EmbeddedProcess,
    "activemq": ActiveMQ,
    "artemis": Artemis,
}


@contextmanager
def running(name: str, directory: Path) -> Iterator[StompHouse]:
    """A broker process of that kind, stopped at the end."""
    process = _PROCESSES[name](directory)
    process.start()
    try:
        yield StompHouse(name, process)
    finally:
        process.stop()
