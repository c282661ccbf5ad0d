"""A small facility in a folder, an embedded broker, and agents as real processes."""

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import Delivery, OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.protocol.codec import encode

REPOSITORY = Path(__file__).resolve().parents[3]
LISTENED = (
    "/queue/REDUCTION.STARTED",
    "/queue/REDUCTION.COMPLETE",
    "/queue/REDUCTION.ERROR",
    "/queue/REDUCTION.DISABLED",
    "/queue/CATALOG.ONCAT.STARTED",
    "/queue/CATALOG.ONCAT.COMPLETE",
    "/queue/REDUCTION_CATALOG.STARTED",
    "/queue/REDUCTION_CATALOG.COMPLETE",
    "/queue/POSTPROCESS.ERROR",
    "/topic/TEST.HEARTBEAT",
    "/topic/TEST.ACK",
)


def wait_until(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return what `condition` gives as soon as it is true; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not true within {timeout} s: {condition}")


class Broker:
    """The embedded broker as a process; it may be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / "broker.json"
        self.port = 0
        self.start()

    def start(self) -> None:
        options = ("--port", str(self.port), "--state", str(self._state))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workflow_manager.broker.embedded", *options],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def config(self) -> BrokerConfig:
        return BrokerConfig((("127.0.0.1", self.port),), "agent", "secret")


class Facility:
    """Scripts, data files and proposals below one folder; `say` writes a script's marks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def data_file(self, run: int, instrument: str = "ARCS", name: str | None = None) -> str:
        """Make a data file; return its path as on the facility."""
        path = f"/SNS/{instrument}/IPTS-1/nexus/{name or f'{instrument}_{run}.nxs.h5'}"
        real = self.root / path[1:]
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(b"data")
        return path

    def script(self, text: str, instrument: str = "ARCS", kind: str = "reduce") -> None:
        folder = self.root / "SNS" / instrument / "shared" / "autoreduce"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{kind}_{instrument}.py").write_text(text)

    def output(self, instrument: str = "ARCS") -> Path:
        return self.root / "SNS" / instrument / "IPTS-1" / "shared" / "autoreduce"

    def job(self, run: int = 1, instrument: str = "ARCS", **more: Any) -> dict[str, Any]:
        return {
            "run_number": run,
            "instrument": instrument.lower(),
            "ipts": "IPTS-1",
            "facility": "SNS",
            "data_file": self.data_file(run, instrument),
            **more,
        }


class AgentProcess:
    """`python -m postprocessing` with a configuration of the test's."""

    def __init__(self, folder: Path, facility: Facility, broker: Broker, **settings: Any) -> None:
        self.journal = folder / "journal"
        self._log = folder / "agent.log"
        self._config = folder / "post_processing.conf"
        content = {
            "amq_user": "agent",
            "amq_pwd": "secret-of-the-broker",
            "brokers": [["127.0.0.1", broker.port]],
            "failover_uri": "",
            "heart_beat": "/topic/TEST.HEARTBEAT",
            "facility_root": str(facility.root),
            "journal_directory": str(self.journal),
            "python_exec": f"{sys.executable} -I -S",
            "agent_name": "node7",
            **settings,
        }
        self._config.write_text(json.dumps(content))

    def start(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postprocessing", "--config", str(self._config)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout: float = 30.0) -> int:
        """Ask the agent to end; return its exit code."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        return self.process.wait(timeout)

    @property
    def log(self) -> str:
        return self._log.read_text()


class Desk:
    """What the workflow manager does, by hand: sends jobs and collects reports."""

    def __init__(self, broker: Broker) -> None:
        self._publisher = StompPublisher(broker.config)
        self._subscriber = StompSubscriber(broker.config)
        self._inbox: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self.reports: list[tuple[str, dict[str, Any]]] = []
        self._subscriber.start([Subscription(name) for name in LISTENED], self._inbox.put)
        wait_until(lambda: self._subscriber.is_connected)

    def send(self, content: Any, destination: str = "/queue/REDUCTION.DATA_READY") -> None:
        body = content if isinstance(content, bytes) else encode(content)
        self._publisher.publish([OutgoingMessage(destination, body)])

    def named(self, name: str) -> list[dict[str, Any]]:
        """The reports that have come from one queue or topic."""
        while not self._inbox.empty():
            delivery = self._inbox.get()
            bare = delivery.destination.removeprefix("/queue/").removeprefix("/topic/")
            self.reports.append((bare, json.loads(delivery.body)))
            delivery.ack()
        return [body for destination, body in self.reports if destination == name]

    def wait_for(self, name: str, number: int = 1, timeout: float = 20.0) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.named(name)) >= number, timeout)
        return self.named(name)

    def close(self) -> None:
        self._subscriber.close()
        self._publisher.close()


def processes_with(text: str) -> list[int]:
    """The living processes that have `text` in their command line."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or [])
        if text in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info["pid"])
    return [pid for pid in found if pid != os.getpid()]
