"""A Java broker as an ordinary process: started, stopped, killed, frozen."""

import os
import secrets
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIME = 90.0  # seconds; a loaded machine starts Java slowly
STOP_TIME = 30.0


class BrokerMissingError(Exception):
    """The broker is not installed; on a build server that is a failure, not a skip."""


def required(reason: str | None) -> str | None:
    """Hand on why a broker cannot run here, but where CI=true nothing may be left out.

    Raises:
        BrokerMissingError: there is a reason and CI=true.
    """
    if reason is not None and os.environ.get("CI") == "true":
        raise BrokerMissingError(reason)
    return reason


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers_stomp(port: int) -> bool:
    """Tell whether something that speaks STOMP listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            probe.sendall(b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\0")
            return probe.recv(5) in (b"CONNE", b"ERROR")
    except OSError:
        return False


class BrokerProcess(ABC):
    """One broker; the port, the passwords and the journal outlive `stop` and `kill`."""

    name: str
    roles: Sequence[str]

    def __init__(self, directory: Path, user: str) -> None:
        self.port = free_port()
        self.user = user
        self.passwords = {role: secrets.token_hex(8) for role in self.roles}
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """What is run; the process itself has to become the broker."""

    def _environment(self) -> Mapping[str, str]:
        return os.environ

    @property
    def password(self) -> str:
        return self.passwords[self.user]

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def pid(self) -> int | None:
        """Of the process that was started last, also if it was killed from outside."""
        return self._process.pid if self._process is not None else None

    @property
    def log_file(self) -> Path:
        return self._directory / f"{self.name}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and return when it answers.

        Raises:
            RuntimeError: it ended or did not answer in time; with its log.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, env=self._environment()
            )
        deadline = time.monotonic() + START_TIME
        while not answers_stomp(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} does not answer:\n{self.log_file.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop cleanly; kill if that takes too long."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: what a power cut does to the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        """Freeze it, as a hung machine would."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the broker does not run")
        self._process.send_signal(number)
