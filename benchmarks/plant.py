"""What the measurements of the workflow share: a bare facility, and messages on its broker."""

import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from demo import facility, processes
from demo.endpoints import BrokerEndpoint
from demo.facility import Wishes
from demo.postgres import DATABASE
from demo.processes import Plan
from demo.state import State
from demo.supervisor import Process, Supervisor
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

_CHUNK = 500
_DATA_READY = names.queue(names.POSTPROCESS_DATA_READY)


@dataclass(frozen=True, slots=True)
class Plant:
    """Database and broker run; what is measured is started and ended by whoever measures."""

    plan: Plan
    supervisor: Supervisor
    database: str = DATABASE

    @property
    def address(self) -> str:
        """Of the database."""
        return make_conninfo(self.plan.postgres.url, dbname=self.database)

    @property
    def broker(self) -> BrokerConfig:
        endpoint = self.plan.broker
        return BrokerConfig(((endpoint.host, endpoint.port),), endpoint.user, endpoint.password)

    @contextmanager
    def running(self, *wanted: Process) -> Iterator[None]:
        """Processes that run inside the block."""
        beside = Supervisor(self.supervisor.logs, facility.ROOT, threading.Event())
        try:
            for process in wanted:
                beside.start(process)
            yield
        finally:
            beside.stop()

    def manager(self) -> Process:
        process = processes.workflow_manager(self.plan)
        return replace(process, environment={**process.environment, "DATABASE_NAME": self.database})

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.address, autocommit=True)

    def with_copy(self, database: str) -> "Plant":
        """The same broker and server with a copy of the database as it is now."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        names = sql.Identifier(database), sql.Identifier(self.database)
        with psycopg.connect(make_conninfo(self.address, dbname="postgres")) as connection:
            connection.autocommit = True
            connection.execute(statement.format(*names))
        return replace(self, database=database)

    def now(self) -> datetime:
        """The database's clock."""
        with self.connect() as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment


@contextmanager
def bare_plant(broker: BrokerEndpoint | None) -> Iterator[Plant]:
    """An empty database, and the given broker or the embedded one."""
    with tempfile.TemporaryDirectory(prefix="webmon-bench-") as folder:
        state = State(Path(folder))
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        plan = facility.plan(state, Wishes(0, simulator=False, broker=broker))
        try:
            facility.start_database_and_broker(supervisor, plan)
            yield Plant(plan, supervisor)
        finally:
            supervisor.stop()


def data_ready(
    number: int, destination: str = _DATA_READY, instrument: str | None = None
) -> OutgoingMessage:
    """The announcement of a run, of one of ten instruments unless one is named."""
    name = instrument or f"BENCH{number % 10}"
    proposal = f"IPTS-{number % 50}"
    body = {
        "facility": "SNS",
        "instrument": name,
        "ipts": proposal,
        "run_number": str(number),
        "data_file": f"/SNS/{name}/{proposal}/nexus/{name}_{number}.nxs.h5",
        "src_id": "STC_20480",
    }
    return OutgoingMessage(destination, encode(body))


def announce(config: BrokerConfig, numbers: Iterable[int]) -> None:
    send(config, [data_ready(number) for number in numbers])


def send(config: BrokerConfig, messages: Sequence[OutgoingMessage]) -> None:
    """Send with receipts, a few hundred at once."""
    with closing(StompPublisher(config)) as publisher:
        for start in range(0, len(messages), _CHUNK):
            publisher.publish(messages[start : start + _CHUNK])


def broker_limit(config: BrokerConfig, messages: int) -> float:
    """Messages a second: sent with receipts in batches, then received and acknowledged.

    Measured twice, and the second time counts: a Java broker becomes fast while it works.
    """
    _pass_through(config, messages)
    started = time.perf_counter()
    _pass_through(config, messages)
    return messages / (time.perf_counter() - started)


def _pass_through(config: BrokerConfig, messages: int) -> None:
    queue = "/queue/BENCHMARK.LIMIT"
    send(config, [data_ready(number, queue) for number in range(messages)])
    stop = threading.Event()
    subscriber = StompSubscriber(config)
    received = 0
    with Consumer(subscriber, [Subscription(queue, prefetch=_CHUNK)], capacity=_CHUNK) as consumer:
        for deliveries in consumer.batches(size=_CHUNK, wait=0.01, until=stop):
            subscriber.ack_all(deliveries)
            received += len(deliveries)
            if received >= messages:
                stop.set()


def leftovers(config: BrokerConfig) -> int:
    """Announcements that were not acknowledged, and would be delivered again."""
    subscription = Subscription(_DATA_READY, prefetch=10)
    with Consumer(StompSubscriber(config), [subscription], capacity=10) as consumer:
        return len(consumer.take(10, timeout=1))
