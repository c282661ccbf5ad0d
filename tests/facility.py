"""A running facility for tests: the processes of the demo, on a broker of choice."""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from demo import facility, processes
from demo.check import log_in
from demo.endpoints import BrokerEndpoint, Endpoints
from demo.facility import Wishes
from demo.processes import Plan
from demo.state import State
from demo.supervisor import Supervisor
from tests import activemq, artemis
from tests.activemq import ActiveMQ
from tests.artemis import Artemis
from tests.broker_process import BrokerProcess
from tests.integration.dasmon_listener.others import Hook, MailServer, hook, mail_server
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher
from workflow_manager.protocol.codec import encode


@dataclass(frozen=True, slots=True)
class Others:
    """Who hears of alarms, on this machine."""

    mails: MailServer
    hook: Hook

    def environment(self) -> dict[str, str]:
        return {
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.mails.port),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
        }


class Facility:
    """What a test does with a running facility."""

    def __init__(
        self,
        endpoints: Endpoints,
        supervisor: Supervisor,
        broker: BrokerProcess | None,
        others: Others | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.supervisor = supervisor
        self.broker = broker
        self._others = others

    @property
    def mails(self) -> MailServer:
        """Where the facility's e-mails go."""
        assert self._others is not None
        return self._others.mails

    @property
    def hook(self) -> Hook:
        """A webhook that notifications may lead to."""
        assert self._others is not None
        return self._others.hook

    @property
    def root(self) -> Path:
        return self.endpoints.facility_root

    def send(self, destination: str, *bodies: bytes | Mapping[str, Any]) -> None:
        """Send messages and wait for the broker's receipts."""
        broker = self.endpoints.broker
        config = BrokerConfig(((broker.host, broker.port),), broker.user, broker.password)
        messages = [
            OutgoingMessage(destination, body if isinstance(body, bytes) else encode(body))
            for body in bodies
        ]
        with closing(StompPublisher(config)) as publisher:
            publisher.publish(messages)

    def kill(self, process: str) -> None:
        """End a process at once, as a power cut would; the supervisor starts it again."""
        os.kill(self.supervisor.pids()[process], signal.SIGKILL)

    def backends(self) -> list[int]:
        """Process numbers of the database's sessions, but for our own."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in rows]

    def log(self, process: str) -> str:
        """What a process has written so far."""
        file = self.supervisor.logs / f"{process}.log"
        return file.read_text(encoding="utf-8", errors="replace")

    def answers(self) -> bool:
        """Whether the database takes us."""
        try:
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def install(self, instrument: str, script: str) -> Path:
        """Write the reduction script of an instrument of SNS."""
        folder = self.root / "SNS" / instrument / "shared" / "autoreduce"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"reduce_{instrument}.py"
        file.write_text(script, encoding="utf-8")
        return file

    def put_data(self, instrument: str, proposal: str, name: str, source: Path) -> str:
        """Copy a data file to its place; return its path as on the facility."""
        path = f"/SNS/{instrument}/{proposal}/nexus/{name}"
        target = Path(f"{self.root}{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return path

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.endpoints.database, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    def command(self, *statements: str) -> None:
        """Have the database do something, outside of transactions."""
        with psycopg.connect(self.endpoints.database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def session(self, name: str = "user") -> requests.Session:
        return log_in(self.endpoints.web, name, self.endpoints.passwords[name])

    def await_true(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Ask again at every change that the database announces, and each second."""
        deadline = time.monotonic() + seconds
        with psycopg.connect(self.endpoints.database, autocommit=True) as connection:
            connection.execute("LISTEN webmon")
            while not condition():
                if time.monotonic() > deadline:
                    return False
                for _ in connection.notifies(timeout=1, stop_after=1):
                    pass
        return True

    def await_apart(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Ask again and again: for what the database cannot announce, because it is away."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline:
                return False
            pause.wait(0.05)
        return True

    def processes_naming(self, text: str) -> list[str]:
        """Command lines of processes that mention `text`: what a job may have left behind."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = " ".join(process.info["cmdline"] or [])
            if text in command:
                found.append(command)
        return found


_REQUIREMENTS = {"activemq": activemq.require, "artemis": artemis.require}
_JAVA_BROKERS: Mapping[str, Callable[[Path], BrokerProcess]] = {
    "activemq": ActiveMQ,
    "artemis": Artemis,
}


def require(broker: str) -> str | None:
    """Why a facility cannot run on that broker here, or None; an error where CI=true."""
    return _REQUIREMENTS[broker]() if broker in _REQUIREMENTS else None


@dataclass(frozen=True, slots=True)
class RolesPlan(Plan):
    """A given broker where each process has the user of its own role."""

    def broker_user(self, role: str) -> tuple[str, str]:
        return role, self.secrets.broker[role]


def with_roles(plan: Plan, broker: BrokerProcess) -> RolesPlan:
    secrets = replace(plan.secrets, broker=broker.passwords)
    content = {each.name: getattr(plan, each.name) for each in fields(plan)}
    return RolesPlan(**content | {"secrets": secrets})


@contextmanager
def running_facility(broker: str) -> Iterator[Facility]:
    """Start everything but the simulator; `broker` is `embedded`, `activemq` or `artemis`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webmon-test-")))
        process = None
        if broker != "embedded":
            process = stack.enter_context(_JAVA_BROKERS[broker](folder / broker))
        yield stack.enter_context(_running(folder / "state", process))


@contextmanager
def running_manager(broker: str) -> Iterator[Facility]:
    """Only what takes runs in: the database, the broker and the workflow manager; no agent."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webmon-test-")))
        process = None
        if broker != "embedded":
            process = stack.enter_context(_JAVA_BROKERS[broker](folder / broker))
        state = State(folder / "state")
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        stack.callback(supervisor.stop)
        plan = facility.plan(state, Wishes(0, simulator=False, broker=_endpoint(process)))
        facility.start_database_and_broker(supervisor, plan)
        supervisor.start(processes.workflow_manager(plan))
        stack.enter_context(_watched(supervisor))
        endpoints = Endpoints(
            plan.web_url, plan.broker, plan.postgres.url, plan.state.facility_root, {}
        )
        yield Facility(endpoints, supervisor, process)


@contextmanager
def _watched(supervisor: Supervisor) -> Iterator[None]:
    """What ends is started again."""
    watcher = threading.Thread(target=supervisor.watch, name="supervisor")
    watcher.start()
    try:
        yield
    finally:
        supervisor.stop_asked.set()
        watcher.join()


@contextmanager
def facility_as_deployed() -> Iterator[Facility]:
    """Everything, each process with the rights of its role on Artemis; we are the instruments."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webmon-test-")))
        broker = Artemis(folder / "artemis", user="instruments", as_deployed=True)
        stack.enter_context(broker)
        yield stack.enter_context(_running(folder / "state", broker, is_as_deployed=True))


@contextmanager
def _running(
    folder: Path, process: BrokerProcess | None, *, is_as_deployed: bool = False
) -> Iterator[Facility]:
    with ExitStack() as stack:
        state = State(folder)
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        wishes = Wishes(0, simulator=is_as_deployed, broker=_endpoint(process))
        others = Others(stack.enter_context(mail_server()), stack.enter_context(hook()))
        stack.callback(supervisor.stop)
        plan = replace(facility.plan(state, wishes), more=others.environment())
        if is_as_deployed and process is not None:
            plan = with_roles(plan, process)
        endpoints = facility.start(supervisor, plan, simulator=is_as_deployed)
        stack.enter_context(_watched(supervisor))
        yield Facility(endpoints, supervisor, process, others)


def _endpoint(broker: BrokerProcess | None) -> BrokerEndpoint | None:
    if broker is None:
        return None
    return BrokerEndpoint(*broker.address, broker.user, broker.password)
