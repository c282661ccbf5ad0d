"""The small process between the agent and a script, from which no descendant escapes.

It adopts whatever its descendants leave behind (Linux: child subreaper), so a daemon that left
its session is still a child here, and "no child left" is a fact that the kernel tells.

Standard input: one line of JSON, the order (see `program.Program.order`), then nothing; its end
means that the agent is gone or wants the end. Standard output: one line of JSON, the result.
Started as `python -I -S`: only the standard library, and little of that, for a quick start.
"""

import ctypes
import fcntl
import json
import os
import resource
import selectors
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from postprocessing.execution.limits import (
    descendants,
    memory_of,
    memory_sentence,
    time_sentence,
)
from postprocessing.execution.logs import CappedLog

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CHUNK = 1 << 20
_LIFELINE = 0
_RESULT = 1
_IMPATIENT = 0.02  # seconds between two looks while processes are being ended
_GIVE_UP = 10.0  # seconds after SIGKILL; what is left then hangs in the kernel

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    line = _first_line()
    if not line:
        return  # a spare that was not needed
    order = json.loads(line)
    result = Supervisor(order).run()
    if order["result"] and result["reason"] != "agent":
        _store(Path(order["result"]), result)
    # Without an agent nobody reads this.
    with suppress(BrokenPipeError), os.fdopen(_RESULT, "wb") as pipe:
        pipe.write(json.dumps(result).encode() + b"\n")
    # The agent waits for our end: no time for the interpreter's farewell.
    os._exit(0)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(_LIFELINE, 1 << 16)
        if not piece:
            return b""
        line += piece
    return line


def _store(path: Path, result: dict[str, Any]) -> None:
    """For the next agent, should this one be killed; a full disk only takes that away."""
    part = path.with_suffix(f"{path.suffix}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(result, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        result["log_problem"] = result["log_problem"] or f"{path}: {error.strerror}"


class Supervisor:
    """One script from its start until nothing of it is left."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._selector = selectors.DefaultSelector()
        self._logs: dict[int, CappedLog] = {}
        self._errors: CappedLog | None = None
        self._status: int | None = None
        self._reason: str | None = None
        self._message = ""
        self._kill_at: float | None = None
        self._leftovers = 0
        self._peak = 0
        self._script = 0
        self._trouble = -1
        self._ended_after: float | None = None
        self._started = time.monotonic()
        self._next_check = 0.0

    def run(self) -> dict[str, Any]:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._listen()
        self._start()
        is_left = True
        while is_left and not self._is_hopeless():
            self._turn()
            is_left = self._reap()
        return self._result(descendants(os.getpid()) if is_left else [])

    def _turn(self) -> None:
        period = _IMPATIENT if self._kill_at else self._order["period"]
        for key, _ in self._selector.select(period):
            key.data(key.fd)
        if self._kill_at is None:
            self._check_limits()
        else:
            self._end_them()

    def _listen(self) -> None:
        woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(woken, selectors.EVENT_READ, lambda fd: os.read(fd, 512))
        self._selector.register(_LIFELINE, selectors.EVENT_READ, self._on_lifeline)

    def _on_lifeline(self, fd: int) -> None:
        if not os.read(fd, 512):
            self._selector.unregister(fd)
            # A script that ended by itself before we heard of the agent has run, and counts.
            self._reap()
            self._stop("agent", "the agent stopped")

    # The script

    def _start(self) -> None:
        cap = self._order["log_cap"]
        self._errors = CappedLog(Path(self._order["stderr"]), cap, keep=True)
        out, script_out = self._pipe_to(CappedLog(Path(self._order["stdout"]), cap))
        err, script_err = self._pipe_to(self._errors)
        trouble, script_trouble = os.pipe2(os.O_CLOEXEC)
        self._started = time.monotonic()
        self._script = os.fork()
        if self._script == 0:
            _become_script(self._order, (script_out, script_err), script_trouble)
        for fd in (script_out, script_err, script_trouble):
            os.close(fd)
        for fd in (out, err):
            self._selector.register(fd, selectors.EVENT_READ, self._pump)
        # The kernel closes this pipe when the script's program has taken over. Until then the
        # script may hang in a file system that is away: the limits hold there too.
        os.set_blocking(trouble, False)
        self._selector.register(trouble, selectors.EVENT_READ, self._on_trouble)
        self._trouble = trouble

    def _on_trouble(self, fd: int) -> None:
        """Why the script could not be started, in one piece; or that it was."""
        try:
            problem = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        self._selector.unregister(fd)
        # What was ended while it hung has its reason.
        if problem and self._reason is None:
            self._reason, self._message = "start", problem.decode()

    def _pipe_to(self, log: CappedLog) -> tuple[int, int]:
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        # Some containers keep pipes small; that costs speed only.
        with suppress(OSError):
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _CHUNK)
        self._logs[ours] = log
        return ours, theirs

    def _pump(self, fd: int) -> bool:
        """Move what is there from the pipe to its log; tell whether there may be more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._logs[fd].write(data)
        else:
            self._selector.unregister(fd)
        return bool(data)

    # Limits and the end

    def _check_limits(self) -> None:
        now = time.monotonic()
        # Output wakes us much more often than counting memory is worth.
        if now < self._next_check:
            return
        self._next_check = now + self._order["period"]
        used_time = now - self._started
        if used_time > self._order["time_limit"]:
            self._stop("time", time_sentence(used_time, self._order["time_limit"]))
            return
        limit = self._order["memory_limit"]
        used = memory_of(descendants(os.getpid()), limit)
        self._peak = max(self._peak, used)
        if used > limit:
            self._stop("memory", memory_sentence(used, limit))

    def _stop(self, reason: str, message: str) -> None:
        if self._reason is None and self._status is None:
            self._reason, self._message = reason, message
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._order["grace"]
            _signal_all(signal.SIGTERM)

    def _end_them(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            _signal_all(signal.SIGKILL)

    def _is_hopeless(self) -> bool:
        return self._kill_at is not None and time.monotonic() > self._kill_at + _GIVE_UP

    def _reap(self) -> bool:
        """Bury the dead; tell whether anyone lives."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._script:
                self._on_script_end(status)

    def _on_script_end(self, status: int) -> None:
        self._status = status
        self._ended_after = time.monotonic() - self._started
        left = descendants(os.getpid())
        if left and self._kill_at is None:
            self._leftovers = len(left)
            self._stop("leftovers", "")

    def _close_logs(self) -> None:
        for fd, log in self._logs.items():
            while fd in self._selector.get_map() and self._pump(fd):
                pass
            log.close(self._message if log is self._errors else "")

    def _stderr(self) -> str:
        kept = self._errors.kept if self._errors is not None else None
        return bytes(kept or b"").decode("utf-8", "replace")

    def _result(self, unkillable: list[int]) -> dict[str, Any]:
        if self._trouble in self._selector.get_map():
            self._on_trouble(self._trouble)
        self._close_logs()
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        return {
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "reason": self._reason,
            "message": self._message,
            "seconds": self._ended_after or time.monotonic() - self._started,
            "peak_memory": self._peak,
            "leftovers": self._leftovers,
            "unkillable": unkillable,
            "log_problem": next((log.problem for log in self._logs.values() if log.problem), None),
            "stderr": self._stderr(),
        }


def _signal_all(number: int) -> None:
    for pid in descendants(os.getpid()):
        # Gone in between, which is what we want.
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _become_script(order: dict[str, Any], outputs: tuple[int, int], trouble: int) -> NoReturn:
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        os.nice(order["nice"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _offer_to_out_of_memory_killer()
        _restore_signals()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        os.chdir(order["cwd"])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606
    except OSError as error:
        os.write(trouble, f"{order['argv'][0]}: {error.strerror}".encode())
    finally:
        os._exit(127)


def _restore_signals() -> None:
    """Python ignores these, and an ignored signal stays ignored in the program that follows."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _offer_to_out_of_memory_killer() -> None:
    """The kernel shall take the script, not the agent, when memory ends."""
    # Some containers do not let us; the script runs all the same.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
