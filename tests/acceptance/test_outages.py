"""Faults of the list of bars (F1, F8, …), each by its number, in a storm of runs.

Lost: no run, no event, no job's message. Done twice: no job. No hand is needed afterwards.
"""

import contextlib
import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import psutil
import psycopg
import pytest

from tests.facility import Facility, require, running_manager
from tests.integration.broker.houses import EmbeddedProcess
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import Subscription
from workflow_manager.broker.stomp_broker import StompSubscriber
from workflow_manager.domain.steps import Phase

BEGIN = "/queue/POSTPROCESS.DATA_READY"
JOB_QUEUES = ("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY")
WAVE = 60  # runs announced at once, just before a fault
SEED = 20261121
_instruments = (f"storm{number}" for number in count(1))


@pytest.fixture(scope="module")
def plant() -> Iterator[Facility]:
    """A broker that keeps what it confirmed, a database, and a manager; each test has its storm."""
    if reason := require("activemq"):
        pytest.skip(reason)
    with running_manager("activemq") as running:
        yield running


@dataclass(slots=True)
class Storm:
    """Runs of an instrument of its own, and the manifest of what was announced."""

    plant: Facility
    instrument: str
    announced: int = 0

    def announce(self, number: int = WAVE) -> None:
        first = self.announced + 1
        self.announced += number
        self.plant.send(BEGIN, *map(self.body, range(first, self.announced + 1)))

    def body(self, number: int) -> dict[str, Any]:
        name = self.instrument.upper()
        return {
            "facility": "SNS",
            "instrument": name,
            "ipts": "IPTS-1",
            "run_number": str(number),
            "data_file": f"/SNS/{name}/IPTS-1/nexus/{name}_{number}.nxs.h5",
        }

    def recorded(self) -> int:
        ((number,),) = self.plant.query(
            "SELECT count(*) FROM workflow_run AS run"
            " JOIN workflow_instrument AS i ON i.id = run.instrument_id WHERE i.name = %s",
            self.instrument,
        )
        return int(number)

    def await_recorded(self, number: int, seconds: float = 60) -> None:
        reached = self.plant.await_true(lambda: self._has(number), seconds)
        assert reached, f"{number} were announced; the manager says:\n{self.said()}"

    def assert_nothing_lost_or_done_twice(self) -> None:
        self.await_recorded(self.announced)
        assert self.recorded() == self.announced
        events = self.plant.query(
            "SELECT run_id, queue, count(*) FROM workflow_event AS event"
            " JOIN workflow_run AS run ON run.id = event.run_id"
            " JOIN workflow_instrument AS i ON i.id = run.instrument_id"
            " WHERE i.name = %s GROUP BY 1, 2",
            self.instrument,
        )
        assert len(events) == self.announced * 3
        assert [row for row in events if row[2] != 1] == []
        jobs = self.jobs()
        assert len(jobs) == self.announced * 2
        assert {attempt for _, attempt in jobs} == {1}
        assert self.plant.await_true(lambda: not self._unsent(), 30), self.said()
        assert self.plant.query("SELECT reason FROM workflow_rejected_message") == []
        assert self.at_agents() == set(jobs)

    def job(self, number: int, queue: str) -> tuple[int, int]:
        """The number and attempt of the newest job of a run on that queue."""
        rows = self.plant.query(
            "SELECT job.id, attempt FROM workflow_job AS job"
            " JOIN workflow_run AS run ON run.id = job.run_id"
            " JOIN workflow_instrument AS i ON i.id = run.instrument_id"
            " WHERE i.name = %s AND run.number = %s AND queue = %s ORDER BY attempt DESC",
            *(self.instrument, number, queue),
        )
        return rows[0][0], rows[0][1]

    def history(self, number: int) -> list[str]:
        """The queues of a run's events."""
        rows = self.plant.query(
            "SELECT queue FROM workflow_event AS event"
            " JOIN workflow_run AS run ON run.id = event.run_id"
            " JOIN workflow_instrument AS i ON i.id = run.instrument_id"
            " WHERE i.name = %s AND run.number = %s",
            *(self.instrument, number),
        )
        return [queue for (queue,) in rows]

    def count(self, queue: str) -> int:
        """The events on a queue."""
        ((number,),) = self.plant.query(
            "SELECT count(*) FROM workflow_event AS event"
            " JOIN workflow_run AS run ON run.id = event.run_id"
            " JOIN workflow_instrument AS i ON i.id = run.instrument_id"
            " WHERE i.name = %s AND queue = %s",
            *(self.instrument, queue),
        )
        return int(number)

    def await_phase(self, number: int, step: str, phase: Phase) -> None:
        def is_there() -> bool:
            rows = self.plant.query(
                f"SELECT {step} FROM workflow_run AS run"  # noqa: S608
                " JOIN workflow_instrument AS i ON i.id = run.instrument_id"
                " WHERE i.name = %s AND run.number = %s",
                *(self.instrument, number),
            )
            return rows == [(phase.value,)]

        assert self.plant.await_true(is_there, 60), self.said()

    def _has(self, number: int) -> bool:
        try:
            return self.recorded() >= number
        except psycopg.OperationalError:
            return False  # the server is away: that is what is tested

    def jobs(self) -> list[tuple[int, int]]:
        return self.plant.query(
            "SELECT job.id, attempt FROM workflow_job AS job"
            " JOIN workflow_instrument AS i ON i.id = job.instrument_id WHERE i.name = %s",
            self.instrument,
        )

    def _unsent(self) -> bool:
        return bool(self.plant.query("SELECT 1 FROM workflow_outbox LIMIT 1"))

    def at_agents(self) -> set[tuple[int, int]]:
        """The jobs that agents get, as (number, attempt), once all of ours have come."""
        wanted = {number for number, _ in self.jobs()}
        found: set[tuple[int, int]] = set()
        wishes = [Subscription(f"/queue/{name}", prefetch=200) for name in JOB_QUEUES]
        subscriber = StompSubscriber(config(self.plant))
        deadline = time.monotonic() + 30
        with Consumer(subscriber, wishes, capacity=400) as consumer:
            while {number for number, _ in found} < wanted and time.monotonic() < deadline:
                for delivery in consumer.take(200, 1):
                    body = json.loads(delivery.body)
                    if body["job_id"] in wanted:
                        found.add((body["job_id"], body["attempt"]))
                    delivery.ack()
        return found

    def said(self) -> str:
        return self.plant.log("workflow_manager")[-4000:]


def config(plant: Facility) -> BrokerConfig:
    broker = plant.endpoints.broker
    return BrokerConfig(((broker.host, broker.port),), broker.user, broker.password)


@pytest.fixture
def storm(plant: Facility) -> Storm:
    """Begun: the manager is there and has handled a first wave."""
    storm = Storm(plant, next(_instruments))
    storm.announce()
    storm.await_recorded(WAVE)
    return storm


def fault_in_each_wave(storm: Storm, fault: Callable[[], None], waves: int) -> None:
    """A fault somewhere in the middle of each wave; where is random, and the same each time."""
    chance = random.Random(SEED)  # noqa: S311
    for _ in range(waves):
        known = storm.announced
        storm.announce()
        storm.await_recorded(known + chance.randrange(WAVE))
        fault()


def test_f1_the_manager_is_killed_in_the_middle_of_messages(storm: Storm) -> None:
    """Three kills here; by the dozen and in thousands of runs: `bin/bench faults`."""
    fault_in_each_wave(storm, lambda: storm.plant.kill("workflow_manager"), waves=3)
    storm.assert_nothing_lost_or_done_twice()


@pytest.mark.parametrize("how", ["clean", "kill -9"])
def test_f8_the_broker_is_restarted(storm: Storm, how: str) -> None:
    broker = storm.plant.broker
    assert broker is not None

    def restart() -> None:
        broker.stop() if how == "clean" else broker.kill()
        broker.start()

    fault_in_each_wave(storm, restart, waves=2)
    storm.assert_nothing_lost_or_done_twice()


def database_away(plant: Facility, number: signal.Signals) -> None:
    """End the server; return when it has started again."""
    before = plant.supervisor.pids()["database"]
    os.kill(before, number)
    assert plant.await_apart(
        lambda: plant.supervisor.pids()["database"] != before and plant.answers(), 60
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["restart", "kill -9"])
def test_f13_postgresql_goes_and_comes_back(storm: Storm, number: signal.Signals) -> None:
    known = storm.announced
    storm.announce()
    storm.await_recorded(known + WAVE // 3)
    database_away(storm.plant, number)
    since = time.monotonic()
    storm.await_recorded(storm.announced)
    assert time.monotonic() - since < 10
    storm.assert_nothing_lost_or_done_twice()


def test_f13_a_backend_is_killed(storm: Storm) -> None:
    """The server then ends all its other sessions too, and recovers."""

    def kill_one() -> None:
        os.kill(storm.plant.backends()[0], signal.SIGKILL)
        assert storm.plant.await_apart(storm.plant.answers, 30)

    fault_in_each_wave(storm, kill_one, waves=2)
    storm.assert_nothing_lost_or_done_twice()


def await_waiting(storm: Storm, words: str, already: int) -> None:
    """The manager says that messages wait for the database, and why."""

    def is_said() -> bool:
        lines = storm.plant.log("workflow_manager").splitlines()[already:]
        return any("messages wait for the database" in line and words in line for line in lines)

    assert storm.plant.await_apart(is_said, 60), storm.said()


def test_f14_postgresql_is_read_only(storm: Storm) -> None:
    plant, known = storm.plant, storm.announced
    already = len(plant.log("workflow_manager").splitlines())
    plant.command("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        assert plant.await_true(
            lambda: plant.query("SHOW default_transaction_read_only") == [("on",)], 10
        )
        storm.announce()
        await_waiting(storm, "read-only", already)
        assert storm.recorded() == known
    finally:
        plant.command(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
    storm.assert_nothing_lost_or_done_twice()


def test_f14_postgresql_has_no_connection_left(storm: Storm) -> None:
    known = storm.announced
    already = len(storm.plant.log("workflow_manager").splitlines())
    with ExitStack() as stack:
        take_all_connections(storm.plant, stack)
        storm.announce()
        await_waiting(storm, "too many clients", already)
    assert storm.recorded() == known
    storm.assert_nothing_lost_or_done_twice()


def take_all_connections(plant: Facility, stack: ExitStack) -> None:
    """End what others have and take it, until nobody else has any."""
    own: list[psycopg.Connection[Any]] = []

    def connect() -> bool:
        try:
            connection = psycopg.connect(plant.endpoints.database, autocommit=True)
        except psycopg.OperationalError:
            return False
        own.append(stack.enter_context(connection))
        return True

    def others() -> list[Any]:
        mine = [connection.info.backend_pid for connection in own]
        return (
            own[0]
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> ALL(%s)",
                [mine],
            )
            .fetchall()
        )

    while connect():
        pass
    while others():
        while connect():
            pass


def test_f16_the_same_content_ten_times_under_ten_numbers(storm: Storm) -> None:
    """The state is that of one delivery; the nine others of each are lines of its history."""
    for _ in range(9):
        storm.plant.send(BEGIN, *map(storm.body, range(1, WAVE + 1)))
    counted = storm.plant.await_true(lambda: storm.count("POSTPROCESS.DATA_READY") == 10 * WAVE, 60)
    assert counted, storm.said()
    assert [storm.count(queue) for queue in JOB_QUEUES] == [WAVE, WAVE]
    assert storm.at_agents() == set(storm.jobs())
    assert len(storm.jobs()) == 2 * WAVE


@pytest.mark.parametrize("names_its_job", [True, False])
def test_f16_the_same_report_ten_times(storm: Storm, names_its_job: bool) -> None:
    """With its job's number it is one event; of an old agent, without, each is a line."""
    plant, number = storm.plant, 1
    job, attempt = storm.job(number, "REDUCTION.DATA_READY")
    report = {**storm.body(number), "information": "node7"}
    if names_its_job:
        report |= {"job_id": job, "attempt": attempt}
    reports = ("REDUCTION.STARTED", "REDUCTION.COMPLETE")
    for queue in reports:
        plant.send(f"/queue/{queue}", *[report] * 10)
    # The last one of all tells that the others were read: it comes on the same queue.
    plant.send(f"/queue/{reports[1]}", storm.body(2))
    storm.await_phase(2, "reduction", Phase.DONE)
    lines = 1 if names_its_job else 10
    assert sorted(storm.history(number)) == sorted(
        [
            *("POSTPROCESS.DATA_READY", *JOB_QUEUES, "REDUCTION_CATALOG.DATA_READY"),
            *(queue for queue in reports for _ in range(lines)),
        ]
    )


def test_f17_reports_of_yesterday_in_the_wrong_order(storm: Storm) -> None:
    plant, number = storm.plant, 2
    yesterday = str(int(time.time()) - 24 * 3600)  # as data acquisition writes it
    steps = ("CATALOG.ONCAT", "REDUCTION")
    jobs = {step: storm.job(number, f"{step}.DATA_READY") for step in steps}
    for step, (job, attempt) in reversed(jobs.items()):
        late = {**storm.body(number), "job_id": job, "attempt": attempt, "timestamp": yesterday}
        for end in ("COMPLETE", "STARTED"):
            plant.send(f"/queue/{step}.{end}", late)
    storm.await_phase(number, "cataloguing", Phase.DONE)
    storm.await_phase(number, "reduction", Phase.DONE)
    job, attempt = storm.job(number, "REDUCTION_CATALOG.DATA_READY")
    late = {**storm.body(number), "job_id": job, "attempt": attempt, "timestamp": yesterday}
    plant.send("/queue/REDUCTION_CATALOG.COMPLETE", late)
    plant.send("/queue/REDUCTION_CATALOG.STARTED", late)
    storm.await_phase(number, "reduction_cataloguing", Phase.DONE)
    expected = [
        "POSTPROCESS.DATA_READY",
        *(f"{step}.{end}" for step in steps for end in ("DATA_READY", "STARTED", "COMPLETE")),
        *(f"REDUCTION_CATALOG.{end}" for end in ("DATA_READY", "STARTED", "COMPLETE")),
    ]
    assert plant.await_true(lambda: sorted(storm.history(number)) == sorted(expected), 60)
    storm.await_phase(number, "reduction_cataloguing", Phase.DONE)


class HostileClient:
    """Logs in and then says what it likes."""

    def __init__(self, broker: EmbeddedProcess) -> None:
        self.socket = socket.create_connection(("127.0.0.1", broker.port), timeout=20)
        login = f"login:{broker.user}\npasscode:{broker.password}\n"
        self.socket.sendall(f"CONNECT\naccept-version:1.2\nhost:/\n{login}\n\0".encode())
        assert self.socket.recv(65536).startswith(b"CONNECTED")

    def pour(self, head: bytes, piece: bytes, megabytes: int) -> bytes:
        """Send `head` and then pieces, until so much was sent or we are cut off; the answer."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(head)
            for _ in range(megabytes * 1024 * 1024 // len(piece)):
                self.socket.sendall(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                answer += data
        return answer


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProcess]:
    broker = EmbeddedProcess(tmp_path_factory.mktemp("embedded"))
    broker.start()
    yield broker
    broker.stop()


def pid_of(broker: EmbeddedProcess) -> int:
    """The process that listens there; it is a child of ours."""
    wanted = str(broker.port)
    (found,) = (each for each in psutil.Process().children() if wanted in each.cmdline())
    return int(found.pid)


SEND = b"SEND\ndestination:/queue/POSTPROCESS.DATA_READY\n"
PIECE = b"x" * 65536


@pytest.mark.parametrize(
    ("head", "piece", "reason"),
    [
        (SEND + b"content-length:104857600\n\n", PIECE, b"larger than"),
        (SEND + b"\n", PIECE, b"larger than"),
        (SEND, b"key:value\n" * 6553, b"header"),
        (b"", PIECE, b"header"),
    ],
    ids=["100 MB", "endless frame", "endless headers", "endless command"],
)
def test_f20_what_is_too_large_is_refused_and_costs_nothing(
    embedded: EmbeddedProcess, head: bytes, piece: bytes, reason: bytes
) -> None:
    process = psutil.Process(pid_of(embedded))
    before = process.memory_info().rss
    client = HostileClient(embedded)
    answer = client.pour(head, piece, megabytes=100)
    client.socket.close()
    assert process.memory_info().rss - before < 50 * 1024 * 1024
    # Who is still sending may lose the answer to a reset of the connection; nobody else does.
    assert answer == b"" or (answer.startswith(b"ERROR") and reason in answer)
    HostileClient(embedded).socket.close()
