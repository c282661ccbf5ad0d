"""A whole facility on this machine: database, broker, instruments, reductions and pages.

It starts everything, prints an address and accounts, and stops everything on Ctrl-C.
"""

import argparse
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from demo import check, facility
from demo.endpoints import BrokerEndpoint, Endpoints
from demo.facility import Wishes
from demo.postgres import PostgresError
from demo.state import State
from demo.supervisor import StartError, Supervisor

log = logging.getLogger("demo")
_START_SECONDS = 120
_STOP_SECONDS = 60


class DemoError(Exception):
    """The demo cannot do what was asked."""


def main() -> int:
    options = _options()
    logging.basicConfig(level="INFO", format="%(asctime)s %(name)s: %(message)s")
    for name in ("stomp.py", "workflow_manager.broker.stomp_broker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we ask whether the broker answers
    try:
        return _run(options)
    except (DemoError, StartError, PostgresError, check.CheckError) as error:
        print(f"bin/demo: {error}", file=sys.stderr)
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=facility.ROOT / ".demo",
        metavar="DIR",
        help="everything that the demo writes (default: .demo beside bin/)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="of the pages; 0 = a free one (8000)"
    )
    parser.add_argument("--no-simulator", action="store_true", help="no instruments at work")
    parser.add_argument(
        "--broker",
        metavar="HOST:PORT",
        help="use this ActiveMQ (STOMP port) instead of the embedded broker; "
        "its user and password come from WORKFLOW_USER and WORKFLOW_PASS",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--detach", action="store_true", help="return when everything is ready, or say why not"
    )
    what.add_argument("--stop", action="store_true", help="stop a detached demo")
    what.add_argument(
        "--check",
        action="store_true",
        help="start on free ports in a temporary folder, send one run through, stop; "
        "exit 0, or say what failed",
    )
    return parser.parse_args()


def _run(options: argparse.Namespace) -> int:
    if options.check:
        return _check(_broker(options.broker))
    state = State(options.state_dir.resolve())
    if options.stop:
        return _stop(state)
    if options.detach:
        return _detach(state)
    wishes = Wishes(options.port, not options.no_simulator, _broker(options.broker))
    with _only_one(state):
        return _serve(state, wishes)


def _broker(address: str | None) -> BrokerEndpoint | None:
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise DemoError(f"--broker {address!r} is not HOST:PORT.")
    missing = [name for name in ("WORKFLOW_USER", "WORKFLOW_PASS") if name not in os.environ]
    if missing:
        raise DemoError(f"--broker needs {' and '.join(missing)} in the environment.")
    return BrokerEndpoint(host, int(port), os.environ["WORKFLOW_USER"], os.environ["WORKFLOW_PASS"])


def _serve(state: State, wishes: Wishes) -> int:
    supervisor = Supervisor(state.logs, facility.ROOT, _stop_event())
    facility.remove_endpoints(state)
    try:
        endpoints = facility.start(
            supervisor, facility.plan(state, wishes), simulator=wishes.simulator
        )
        _greet(endpoints, state)
        supervisor.watch()
    finally:
        facility.remove_endpoints(state)
        supervisor.stop()
    return 0


def _stop_event() -> threading.Event:
    """Set when a signal asks us to stop.

    A handler interrupts its thread anywhere, even where that thread holds the lock of the event or
    of the log: it only writes a byte, and a thread that waits for the byte does the rest.
    """
    stop = threading.Event()
    asked, ask_now = os.pipe()

    def ask(number: int, _frame: FrameType | None) -> None:
        os.write(ask_now, bytes([number]))

    def listen() -> None:
        while number := os.read(asked, 1):
            stop.set()
            log.info("stopping (%s)", signal.Signals(number[0]).name)

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    return stop


def _greet(endpoints: Endpoints, state: State) -> None:
    people = endpoints.passwords
    print(f"\n  WebMon is ready:  {endpoints.web}\n", flush=True)
    for name in ("admin", "scientist", "user"):
        print(f"    {name:<10} {people[name]}")
    print(f"\n  Logs: {state.logs}\n  Stop: Ctrl-C, or bin/demo --stop\n", flush=True)


@contextmanager
def _only_one(state: State) -> Iterator[None]:
    """Two demos in one folder would destroy each other's data."""
    state.folder.mkdir(parents=True, exist_ok=True)
    with state.lock_file.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"A demo is already running in {state.folder}.") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)


def _detach(state: State) -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with _only_one(state):
        facility.remove_endpoints(state)
        state.prepare()
    log_file = state.logs / "demo.log"
    with log_file.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=facility.ROOT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not state.endpoints_file.exists():
        if child.poll() is not None:
            raise DemoError(f"it did not start:\n{log_file.read_text(encoding='utf-8')}")
        if time.monotonic() > deadline:
            child.terminate()
            raise DemoError(f"it was not ready within {_START_SECONDS} s; see {log_file}")
        time.sleep(0.05)
    print(log_file.read_text(encoding="utf-8"))
    return 0


def _stop(state: State) -> int:
    """Ask the demo of this folder to stop, and wait until it has."""
    if not state.lock_file.exists():
        raise DemoError(f"No demo was ever started in {state.folder}.")
    with state.lock_file.open("r+", encoding="utf-8") as lock:
        if _locked(lock.fileno()):
            print("The demo is not running.")
            return 0
        os.kill(int(lock.read()), signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while not _locked(lock.fileno()):
            if time.monotonic() > deadline:
                raise DemoError(f"it does not stop; see {state.logs}")
            time.sleep(0.05)
    print("The demo has stopped.")
    return 0


def _locked(lock: int) -> bool:
    """Whether we got the lock, which a running demo holds."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(broker: BrokerEndpoint | None) -> int:
    with tempfile.TemporaryDirectory(prefix="webmon-check-") as folder:
        state = State(Path(folder) / "state")
        supervisor = Supervisor(state.logs, facility.ROOT, _stop_event())
        try:
            plan = facility.plan(state, Wishes(0, simulator=False, broker=broker))
            endpoints = facility.start(supervisor, plan, simulator=False)
            check.send_one_run_through(endpoints)
        finally:
            supervisor.stop()
    print("bin/demo --check: one run went through, with its plot. Everything works.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
