"""P3: from the moment before DATA_READY is sent to the first line of the run's script.

Ten runs a second through the real manager and a real agent that has nothing else to do. Every
run's script is a new interpreter; how long that takes to reach a script's first line by itself is
measured beside, with the same interpreter, and taken off.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.plant import Plant, data_ready
from benchmarks.result import Result
from demo import processes
from workflow_manager.broker.stomp_broker import StompPublisher

INSTRUMENT = "PROMPT"
BARS = {50: 100.0, 99: 300.0}  # percentile: milliseconds beyond the interpreter's start
_RATE = 10.0  # runs a second
_WARM_UP = 20
_SECONDS = 30.0  # for what is still on its way after the last announcement
_SCRIPT = """import time; began = time.time()
import os, sys
with open(os.path.join(sys.argv[2], os.path.basename(sys.argv[1]) + ".began"), "x") as file:
    file.write(repr(began))
"""


def measure(plant: Plant, runs: int, broker_name: str) -> list[Result]:
    """The median and the 99th percentile of `runs` runs, in milliseconds."""
    root = plant.plan.state.facility_root
    script = _install(root, _WARM_UP + runs)
    started = _interpreter(root, script, _WARM_UP)
    with plant.running(plant.manager(), processes.agent(plant.plan)):
        _sent(plant, range(1, _WARM_UP + 1))
        _began(root, range(1, _WARM_UP + 1))
        numbers = range(_WARM_UP + 1, _WARM_UP + runs + 1)
        sent = _sent(plant, numbers)
        began = _began(root, numbers)
    delays = sorted(1000 * (began[number] - sent[number]) - started for number in began)
    return [
        Result(
            bar="P3",
            what=f"DATA_READY to the script's first line, p{wanted}, beyond the interpreter's"
            f" start ({broker_name}; limit: that start)",
            ours=_percentile(delays, wanted),
            limit=started,
            unit="ms",
            lost=runs - len(began),
            needed=needed,
            is_better="lower",
        )
        for wanted, needed in BARS.items()
    ]


def _percentile(values: Sequence[float], wanted: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[wanted - 1]


def _install(root: Path, runs: int) -> Path:
    """The script, and a data file for each run."""
    scripts = root / "SNS" / INSTRUMENT / "shared" / "autoreduce"
    scripts.mkdir(parents=True, exist_ok=True)
    script = scripts / f"reduce_{INSTRUMENT}.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    for number in range(1, runs + 1):
        file = Path(f"{root}{_data_file(number)}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return script


def _data_file(number: int) -> str:
    proposal = f"IPTS-{number % 50}"
    return f"/SNS/{INSTRUMENT}/{proposal}/nexus/{INSTRUMENT}_{number}.nxs.h5"


def _interpreter(root: Path, script: Path, times: int) -> float:
    """Milliseconds, the median, from starting an interpreter to the first line of the script."""
    delays = []
    for number in range(times):
        began = time.time()
        command = [sys.executable, str(script), f"alone_{number}", str(root)]
        subprocess.run(command, check=True, cwd=root)
        first_line = float((root / f"alone_{number}.began").read_text(encoding="utf-8"))
        delays.append(1000 * (first_line - began))
    return statistics.median(delays)


def _sent(plant: Plant, numbers: Sequence[int]) -> dict[int, float]:
    """Announce runs at a steady rate; when each was, in seconds since 1970."""
    sent = {}
    with closing(StompPublisher(plant.broker)) as publisher:
        due = time.monotonic()
        for number in numbers:
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / _RATE
            sent[number] = time.time()
            publisher.publish([data_ready(number, instrument=INSTRUMENT)])
    return sent


def _began(root: Path, numbers: Sequence[int]) -> dict[int, float]:
    """When each run's script began, of those that do so in time."""
    deadline = time.monotonic() + _SECONDS
    files = {number: _told(root, number) for number in numbers}
    while time.monotonic() < deadline and not all(_is_told(file) for file in files.values()):
        time.sleep(0.2)
    return {
        number: float(file.read_text(encoding="utf-8"))
        for number, file in files.items()
        if _is_told(file)
    }


def _told(root: Path, number: int) -> Path:
    folder = root / "SNS" / INSTRUMENT / f"IPTS-{number % 50}" / "shared" / "autoreduce"
    return folder / f"{INSTRUMENT}_{number}.nxs.h5.began"


def _is_told(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
