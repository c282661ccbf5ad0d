"""The listener, its broker and its database are killed under load: nothing else is lost.

What arrives while nobody listens is gone, because topics keep nothing; the gap says so. Nobody
starts anything by hand.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.facility import Facility, require, running_facility
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import BrokerError, OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher

INSTRUMENTS = ("loada", "loadb", "loadc", "loadd")
PERIOD = 0.02  # seconds between two messages
# Seconds of samples, at most. With the processors to itself a listener loses less than one; here
# they belong to three strands of tests.
LOST_WHILE_ALIVE = 5.0
_SEQUENCES = """
SELECT instrument.name, sample.value::int FROM dasmon_sample AS sample
JOIN dasmon_series AS series ON series.id = sample.series_id
JOIN workflow_instrument AS instrument ON instrument.id = series.instrument_id
WHERE series.name = 'sequence'
"""
_GAPS = "SELECT extract(epoch FROM began_at), extract(epoch FROM ended_at), reason FROM dasmon_gap"


@dataclass(slots=True)
class Load:
    """Instruments that report without a pause; remembers what went out, and when."""

    plant: Facility
    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    heard_since: float = 0.0
    thread: threading.Thread = field(init=False)

    def begin(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join()

    def _run(self) -> None:
        broker = self.plant.endpoints.broker
        config = BrokerConfig(((broker.host, broker.port),), broker.user, broker.password)
        with closing(StompPublisher(config)) as publisher:
            for number in itertools.count():
                instrument = INSTRUMENTS[number % len(INSTRUMENTS)]
                at = time.time()
                if self._send(publisher, instrument, number, at):
                    self.sent[instrument, number] = at
                if self.stop.wait(PERIOD):
                    return

    def _send(self, publisher: StompPublisher, instrument: str, number: int, at: float) -> bool:
        body = {"sequence": str(number), "timestamp": str(at), "count_rate": "9000.5"}
        topic = f"/topic/SNS.{instrument.upper()}.APP.DASMON"
        try:
            publisher.publish([OutgoingMessage(topic, json.dumps(body).encode(), persistent=False)])
        except BrokerError:
            return False
        return True

    def missing(self) -> dict[tuple[str, int], float]:
        """What was sent and is not stored, and when it was sent."""
        stored = set(self.plant.query(_SEQUENCES))
        return {
            key: at for key, at in self.sent.items() if key not in stored and at >= self.heard_since
        }

    def has_settled(self, since: float) -> bool:
        """Whether all that was sent later is there."""
        return all(at < since for at in self.missing().values())

    def is_stored_since(self, moment: float) -> bool:
        """Whether something that was sent later has arrived."""
        stored = set(self.plant.query(_SEQUENCES))
        return any(at > moment and key in stored for key, at in list(self.sent.items()))


@pytest.fixture
def plant(request: pytest.FixtureRequest) -> Iterator[Facility]:
    """A facility of our own: what is killed here must not disturb other tests."""
    if reason := require(request.param):
        pytest.skip(reason)
    with running_facility(request.param) as running:
        yield running


@pytest.fixture
def load(plant: Facility) -> Iterator[Load]:
    load = Load(plant)
    load.begin()
    began = time.time()
    try:
        assert plant.await_true(lambda: load.is_stored_since(began), 60)
        load.heard_since = time.time()
        yield load
    finally:
        load.end()


def with_brokers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("plant", names, indirect=True)


def survive(
    plant: Facility, load: Load, kill: Callable[[], None], times: int
) -> list[tuple[float, float]]:
    """Kill again and again; return when, and when something sent later had arrived."""
    holes = []
    for _ in range(times):
        began = time.time()
        kill()
        back = time.time()
        recovered = plant.await_apart(
            lambda began=back: plant.answers() and load.is_stored_since(began),  # type: ignore[misc]
            90,
        )
        assert recovered, plant.log("dasmon_listener")
        holes.append((began, _first_stored_since(load, back)))
    load.end()
    # What was sent last has arrived, so all that ever will has.
    since = holes[-1][1]
    assert plant.await_true(lambda: load.has_settled(since), 20), plant.log("dasmon_listener")
    return holes


def _first_stored_since(load: Load, moment: float) -> float:
    missing = load.missing()
    return min(at for key, at in load.sent.items() if at > moment and key not in missing)


def check_losses(load: Load, holes: list[tuple[float, float]]) -> None:
    """Only what was sent while nobody listened is missing, or shortly before."""
    for key, at in load.missing().items():
        near = [hole for hole in holes if hole[0] - LOST_WHILE_ALIVE <= at <= hole[1]]
        assert near, f"{key}, sent at {datetime.fromtimestamp(at, UTC)}, is lost; holes: {holes}"


def check_gaps(plant: Facility, load: Load) -> None:
    """Whoever looks sees that something is missing: each loss lies in a gap with a reason."""
    gaps = [(float(began), float(ended), reason) for began, ended, reason in plant.query(_GAPS)]
    for key, at in load.missing().items():
        assert any(began <= at <= ended and reason for began, ended, reason in gaps), (key, gaps)


def check_nothing_twice(plant: Facility) -> None:
    rows = plant.query(
        f"SELECT name, value, count(*) FROM ({_SEQUENCES}) AS stored (name, value)"  # noqa: S608
        " GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert rows == []


@with_brokers("embedded", "activemq")
def test_the_listener_is_killed(plant: Facility, load: Load) -> None:
    holes = survive(plant, load, lambda: plant.kill("dasmon_listener"), times=2)
    check_losses(load, holes)
    check_gaps(plant, load)
    check_nothing_twice(plant)


@with_brokers("activemq")
def test_the_broker_is_killed(plant: Facility, load: Load) -> None:
    assert plant.broker is not None
    broker = plant.broker

    def kill() -> None:
        broker.kill()
        broker.start()

    holes = survive(plant, load, kill, times=2)
    check_losses(load, holes)
    check_gaps(plant, load)
    assert plant.query("SELECT 1 FROM dasmon_gap WHERE position('broker' IN reason) > 0")


@with_brokers("embedded")
def test_the_database_is_killed(plant: Facility, load: Load) -> None:
    """The replaced listener never wrote again after its session had been closed once."""
    survive(plant, load, lambda: plant.kill("database"), times=2)
    assert load.missing() == {}, "it waits for the database, with what arrived meanwhile"
    check_nothing_twice(plant)


@with_brokers("embedded")
def test_all_sessions_are_closed_at_once(plant: Facility, load: Load) -> None:
    survive(
        plant,
        load,
        lambda: plant.command(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ),
        times=2,
    )
    assert load.missing() == {}
    check_nothing_twice(plant)
