"""P2 (a): DATA_READY sent at once, until each is recorded, dispatched and acknowledged.

A run counts when its jobs have left through the outbox with the broker's receipt and nothing of
it is left to acknowledge. The limit beside it is the same broker alone: persistent messages
sent with receipts, received and acknowledged, one after the other through the same client.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from benchmarks.result import Result
from demo import facility, processes
from demo.endpoints import BrokerEndpoint
from demo.facility import Wishes
from demo.processes import Plan
from demo.state import State
from demo.supervisor import Supervisor
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

_SECONDS = 300
_CHUNK = 500


def measure(runs: int, broker: BrokerEndpoint | None, broker_name: str) -> Result:
    """Send `runs` DATA_READY messages to a fresh workflow manager.

    The manager is started after the messages wait in the broker, so that the sender does not
    share the processor with it: the figure is the manager's own.
    """
    with _bench_facility(broker) as (plan, supervisor):
        config = BrokerConfig(
            ((plan.broker.host, plan.broker.port),), plan.broker.user, plan.broker.password
        )
        broker_limit(config, runs)  # warms the broker up: a Java broker starts slowly
        limit = broker_limit(config, runs)
        _send(config, [_data_ready(number) for number in range(1, runs + 1)])
        supervisor.start(processes.workflow_manager(plan))
        seconds, complete = _wait_until_done(plan, runs)
        lost = runs - complete + _leftovers(config)
    return Result(
        bar="P2a",
        what=f"DATA_READY recorded, dispatched, acknowledged ({broker_name}; "
        f"limit: {limit:,.0f} messages/s, three per run)",
        ours=runs / seconds,
        limit=limit / 3,
        unit="runs/s",
        lost=lost,
        needed=300,
    )


@contextmanager
def _bench_facility(broker: BrokerEndpoint | None) -> Iterator[tuple[Plan, Supervisor]]:
    with tempfile.TemporaryDirectory(prefix="webmon-bench-") as folder:
        state = State(Path(folder))
        supervisor = Supervisor(state.logs, facility.ROOT, threading.Event())
        plan = facility.plan(state, Wishes(0, simulator=False, broker=broker))
        try:
            facility.start_database_and_broker(supervisor, plan)
            yield plan, supervisor
        finally:
            supervisor.stop()


def broker_limit(config: BrokerConfig, messages: int) -> float:
    """Messages per second: sent with receipts in batches, then received and acknowledged."""
    queue = "/queue/BENCHMARK.LIMIT"
    batch = [_data_ready(number, queue) for number in range(messages)]
    started = time.perf_counter()
    _send(config, batch)
    _receive(config, queue, messages)
    return messages / (time.perf_counter() - started)


def _send(config: BrokerConfig, messages: list[OutgoingMessage]) -> None:
    with closing(StompPublisher(config)) as publisher:
        for start in range(0, len(messages), _CHUNK):
            publisher.publish(messages[start : start + _CHUNK])


def _receive(config: BrokerConfig, queue: str, messages: int) -> None:
    stop = threading.Event()
    subscriber = StompSubscriber(config)
    received = 0
    with Consumer(subscriber, [Subscription(queue, prefetch=_CHUNK)], capacity=_CHUNK) as consumer:
        for deliveries in consumer.batches(size=_CHUNK, wait=0.01, until=stop):
            subscriber.ack_all(deliveries)
            received += len(deliveries)
            if received >= messages:
                stop.set()


def _data_ready(
    number: int, destination: str = names.queue(names.POSTPROCESS_DATA_READY)
) -> OutgoingMessage:
    instrument = f"BENCH{number % 10}"
    body = {
        "facility": "SNS",
        "instrument": instrument,
        "ipts": f"IPTS-{number % 50}",
        "run_number": str(number),
        "data_file": f"/SNS/{instrument}/IPTS-{number % 50}/nexus/{instrument}_{number}.nxs.h5",
        "src_id": "STC_20480",
    }
    return OutgoingMessage(destination, encode(body))


def _wait_until_done(plan: Plan, runs: int) -> tuple[float, int]:
    """Seconds and complete runs, from the manager's first transaction to the last job sent."""
    deadline = time.monotonic() + _SECONDS
    with psycopg.connect(plan.postgres.url, autocommit=True) as connection:
        while _complete(connection) < runs and time.monotonic() < deadline:
            time.sleep(0.2)
        row = connection.execute(
            "SELECT extract(epoch FROM max(sent_at) - (SELECT min(created_at) FROM workflow_run))"
            " FROM workflow_job"
        ).fetchone()
        return (float(row[0]) if row and row[0] else float("inf")), _complete(connection)


def _complete(connection: psycopg.Connection) -> int:
    """Runs with both jobs sent."""
    row = connection.execute("SELECT count(*) / 2 FROM workflow_job WHERE sent_at IS NOT NULL")
    found = row.fetchone()
    return int(found[0]) if found else 0


def _leftovers(config: BrokerConfig) -> int:
    """Announcements that were not acknowledged, and would be delivered again."""
    subscription = Subscription(names.queue(names.POSTPROCESS_DATA_READY), prefetch=10)
    with Consumer(StompSubscriber(config), [subscription], capacity=10) as consumer:
        return len(consumer.take(10, timeout=1))
