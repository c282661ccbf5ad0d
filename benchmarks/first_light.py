"""P12: first light. `bin/demo` in an empty folder, until it answers; and what all of it weighs.

Memory is counted such that what processes share is there once (Linux: proportional set size).
The limits beside: a bare PostgreSQL made and started by the same code, for the time; as many bare
interpreters as there are Python processes, with PostgreSQL's own processes, for the memory.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.result import Result
from demo.facility import ROOT
from demo.postgres import free_port, prepare
from demo.state import State
from tests.postgres import wait_until_ready

READY_BAR = 60.0  # seconds
MEMORY_BAR = 400.0  # megabytes
_SETTLED = 20.0  # seconds of work before the memory is counted
_MEGABYTE = 1_000_000


def measure() -> list[Result]:
    """The demo as it is started by hand, with its simulated instruments at work."""
    with tempfile.TemporaryDirectory(prefix="webmon-light-") as folder:
        limit = _bare_postgres(Path(folder) / "bare")
        state = State(Path(folder) / "state")
        started = time.perf_counter()
        with _running_demo(state):
            seconds = time.perf_counter() - started
            time.sleep(_SETTLED)
            family = _family(int(state.lock_file.read_text(encoding="utf-8")))
            weights = {process.pid: _weight(process) for process in family}
            bare = _bare_weight(family, weights)
    what = f"all {len(family)} processes of the demo (limit: bare interpreters and PostgreSQL)"
    return [
        _result("demo ready, from an empty folder", seconds, limit, "s", READY_BAR),
        _result(what, sum(weights.values()), bare, "MB", MEMORY_BAR),
    ]


def _result(what: str, ours: float, limit: float, unit: str, needed: float) -> Result:
    return Result("P12", what, ours, limit, unit, 0, needed, is_better="lower")


@contextmanager
def _running_demo(state: State) -> Iterator[None]:
    command = [sys.executable, "-m", "demo", "--state-dir", str(state.folder), "--port", "0"]
    subprocess.run([*command, "--detach"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([*command, "--stop"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _bare_postgres(folder: Path) -> float:
    """Seconds until a new PostgreSQL answers."""
    started = time.perf_counter()
    postgres = prepare(folder / "data", free_port())
    server = subprocess.Popen(
        postgres.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(postgres, server)
        return time.perf_counter() - started
    finally:
        server.terminate()
        server.wait()


def _family(pid: int) -> list[psutil.Process]:
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def _weight(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss) / _MEGABYTE


def _bare_weight(family: Sequence[psutil.Process], weights: dict[int, float]) -> float:
    """Megabytes that nobody can go below who uses these programs."""
    postgres = [process for process in family if process.name() == "postgres"]
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as alone:
        assert alone.stdout is not None
        alone.stdout.readline()
        interpreter = _weight(psutil.Process(alone.pid))
        alone.communicate()
    others = len(family) - len(postgres)
    return others * interpreter + sum(weights[process.pid] for process in postgres)
