"""The agent's side of a supervised program: what to run, and how it ended."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from postprocessing.execution.limits import marked_with

log = logging.getLogger(__name__)

# Every process of a job carries this variable, so that another agent process can find it.
MARK = "WEBMON_JOB"
LOG_CAP = 20_000_000  # bytes, for each of the two outputs
KILL_GRACE = 3.0  # seconds from SIGTERM to SIGKILL

_IMPORT_ROOT = Path(__file__).resolve().parents[2]
_SUPERVISE = (
    f"import sys; sys.path.insert(0, {str(_IMPORT_ROOT)!r});"
    " from postprocessing.execution.supervisor import main; main()"
)


class StoppedError(Exception):
    """The agent stops; the program was ended or never started, and the job is not finished."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program and its limits. Times in seconds, memory in bytes.

    `result`, if given, is a file that will hold how the program ended. A program whose file is
    there already has run, under an agent that was killed before it could say so: it does not run
    again.
    """

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    stdout: Path
    stderr: Path
    time_limit: float
    memory_limit: int
    period: float = 0.2
    nice: int = 0
    result: Path | None = None
    grace: float = KILL_GRACE
    log_cap: int = LOG_CAP

    @property
    def has_run(self) -> bool:
        return self.result is not None and self.result.exists()

    def order(self) -> bytes:
        """The line that the supervisor reads."""
        content = {**asdict(self), "environment": dict(self.environment)}
        return json.dumps(content, default=str).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: `exit_code`, or `signal`, or a `reason` with its sentence.

    `reason` is None, "time", "memory", "start" (it could not be started), "leftovers" (it ended,
    and processes that it left behind were ended) or "supervisor" (lost; nothing else is known).
    `stderr` is what the program wrote there, capped like its file. So an outcome is all that is
    needed to judge a program: the files may meanwhile be those of another reduction.
    """

    exit_code: int | None
    signal: int | None
    reason: str | None
    message: str
    seconds: float
    peak_memory: int
    leftovers: int
    unkillable: Sequence[int]
    log_problem: str | None
    stderr: str


class Supervisors:
    """Starts supervisors, and keeps a few that wait for an order: a script then starts at once.

    A spare ends by itself when the agent does, because its standard input ends.
    """

    def __init__(self, spares: int = 0) -> None:
        self._wanted = spares
        self._lock = threading.Lock()
        self._spares: list[subprocess.Popen[bytes]] = []

    def take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._spares:
                spare = self._spares.pop(0)
                if spare.poll() is None:
                    return spare
                _close(spare)
        return _start_supervisor()

    def refill(self) -> None:
        """Start the spares that are missing; a machine that has no room for them goes without."""
        with self._lock:
            try:
                while len(self._spares) < self._wanted:
                    self._spares.append(_start_supervisor())
            except OSError:
                log.exception("no spare supervisor could be started")

    def close(self) -> None:
        """Let the spares go."""
        with self._lock:
            self._wanted = 0
            for spare in self._spares:
                _close(spare)
                spare.wait()
            self._spares.clear()


class Executor:
    """Runs the programs of one job, one after the other, and can be stopped from outside."""

    def __init__(self, supervisors: Supervisors) -> None:
        self._supervisors = supervisors
        self._lock = threading.Lock()
        self._is_stopped = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, program: Program) -> Outcome:
        """Run to the end.

        Raises:
            StoppedError: the agent stops.
            OSError: not even the supervisor could be started.
        """
        if program.result is not None and program.has_run:
            return Outcome(**json.loads(program.result.read_text(encoding="utf-8")))
        result = self._supervise(program)
        if self._is_stopped and (result is None or result["reason"] == "agent"):
            raise StoppedError
        return _lost(program) if result is None else Outcome(**result)

    def stop(self) -> None:
        """End the program that runs; from now on nothing is started."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()

    def _supervise(self, program: Program) -> dict[str, Any] | None:
        with self._lock:
            if self._is_stopped:
                raise StoppedError
            process = self._process = self._supervisors.take()
            _give_order(process, program.order())
        assert process.stdout is not None  # noqa: S101  (PIPE was asked for)
        answer = process.stdout.read()
        process.wait()
        with self._lock:
            self._process = None
            _close(process)
        return json.loads(answer) if answer.endswith(b"\n") else None


def _start_supervisor() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SUPERVISE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={},
        bufsize=0,
    )


def _give_order(process: subprocess.Popen[bytes], order: bytes) -> None:
    assert process.stdin is not None  # noqa: S101  (PIPE was asked for)
    try:
        while order:
            order = order[process.stdin.write(order) or 0 :]
    except BrokenPipeError:
        log.warning("the supervisor ended before it had its order")  # seen as a lost result


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _lost(program: Program) -> Outcome:
    """The supervisor was killed: its script died with it, the rest is ended here."""
    ended = end_marked(program.environment.get(MARK, ""))
    return Outcome(
        exit_code=None,
        signal=None,
        reason="supervisor",
        message="the supervisor of the script was killed, so the script was ended",
        seconds=0.0,
        peak_memory=0,
        leftovers=ended,
        unkillable=(),
        log_problem=None,
        stderr=_written(program.stderr),
    )


def _written(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # lost before it had made the file
        return ""


def end_marked(mark: str) -> int:
    """Kill every process of the job with this mark; return how many there were."""
    ended: set[int] = set()
    while mark and (found := set(marked_with(MARK, mark)) - {os.getpid()} - ended):
        for pid in found:
            # Gone in between, which is what we want.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
    return len(ended)
