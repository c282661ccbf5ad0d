"""Keeps processes running: one log file each, restarted when they end, nothing left behind."""

import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

_FIRST_RESTART_SECONDS = 0.5
_SLOWEST_RESTART_SECONDS = 10.0
_STEADY_SECONDS = 5.0  # a process that lives so long is no crash loop
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """A process did not become ready."""


@dataclass(frozen=True, slots=True)
class Process:
    """What to run. `is_ready` is asked until it says yes; `stop_signal` asks it to end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = lambda: True
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0


@dataclass(slots=True)
class _Running:
    process: Process
    child: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Starts processes in order, restarts those that end, and stops them in reverse order."""

    logs: Path
    working_directory: Path
    stop_asked: threading.Event
    _running: list[_Running] = field(default_factory=list)

    def start(self, process: Process, timeout: float = 60) -> None:
        """Start a process and wait until it is ready.

        Raises:
            StartError: it ended or did not become ready; the end of its log is in the message.
        """
        running = _Running(process, self._spawn(process), time.monotonic())
        self._running.append(running)
        deadline = time.monotonic() + timeout
        while not process.is_ready():
            if running.child.poll() is not None:
                raise StartError(self._account(process, f"ended ({running.child.returncode})"))
            if time.monotonic() > deadline:
                raise StartError(self._account(process, f"was not ready in {timeout:.0f} s"))
            if self.stop_asked.wait(0.05):
                raise StartError(f"stopped while {process.name} was starting")

    def watch(self) -> None:
        """Restart what ends, until a stop is asked for.

        The kernel ends a child with the *thread* that started it: call `stop` right after this
        returns, or call this in the main thread.
        """
        while not self.stop_asked.wait(0.2):
            for running in self._running:
                self._look_after(running)

    def stop(self) -> None:
        """End every process, those started last first; what does not listen is killed."""
        for running in reversed(self._running):
            _end(running)
        self._running.clear()

    def pids(self) -> dict[str, int]:
        return {running.process.name: running.child.pid for running in self._running}

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        with (self.logs / f"{process.name}.log").open("ab") as log_file:
            return subprocess.Popen(
                list(process.command),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                cwd=self.working_directory,
                env=dict(process.environment),
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock
            )

    def _look_after(self, running: _Running) -> None:
        if running.child.poll() is None:
            return
        now = time.monotonic()
        if running.restart_at is None:
            steady = now - running.started > _STEADY_SECONDS
            running.restarts = 0 if steady else running.restarts + 1
            delay = min(_FIRST_RESTART_SECONDS * 2**running.restarts, _SLOWEST_RESTART_SECONDS)
            running.restart_at = now + delay
            log.warning(
                "%s ended (%s); it starts again in %.1f s",
                *(running.process.name, running.child.returncode, delay),
            )
        elif now >= running.restart_at:
            running.child = self._spawn(running.process)
            running.started, running.restart_at = now, None

    def _account(self, process: Process, what: str) -> str:
        file = self.logs / f"{process.name}.log"
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"{process.name} {what}; the end of {file}:", *lines[-30:]])


def _end_with_parent() -> None:
    """Ask the kernel to end this child when the supervisor dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(running: _Running) -> None:
    child, process = running.child, running.process
    if child.poll() is None:
        child.send_signal(process.stop_signal)
        try:
            child.wait(process.stop_seconds)
        except subprocess.TimeoutExpired:
            log.warning("%s does not stop and is killed", process.name)
            child.kill()
            child.wait()
    _kill_group(child.pid)


def _kill_group(group: int) -> None:
    """What a process left behind in its session goes too."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
