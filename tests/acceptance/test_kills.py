"""Killed in the middle of 200 runs: everything arrives, nothing twice, nothing is left running."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.facility import Facility, require, running_facility

RUNS = 200
SCRIPT = """
import pathlib, sys
data_file, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
(output / (data_file.name + ".reduced")).write_text(data_file.read_text())
"""
EVENTS = {
    "POSTPROCESS.DATA_READY",
    *(
        f"{step}.{phase}"
        for step in ("CATALOG.ONCAT", "REDUCTION", "REDUCTION_CATALOG")
        for phase in ("DATA_READY", "STARTED", "COMPLETE")
    ),
}


def with_brokers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("plant", names, indirect=True)


@pytest.fixture
def plant(request: pytest.FixtureRequest) -> Iterator[Facility]:
    """A facility of our own: what is killed here must not disturb other tests."""
    if reason := require(request.param):
        pytest.skip(reason)
    with running_facility(request.param) as running:
        running.install("KILL", SCRIPT)
        yield running


def done_runs(plant: Facility) -> int:
    rows = plant.query(
        "SELECT count(*) FROM workflow_run"
        " WHERE cataloguing = 5 AND reduction = 5 AND reduction_cataloguing = 5"
    )
    return int(rows[0][0])


def send_runs(plant: Facility) -> None:
    folder = plant.root / "SNS" / "KILL" / "IPTS-1" / "nexus"
    folder.mkdir(parents=True)
    bodies = []
    for number in range(1, RUNS + 1):
        (folder / f"KILL_{number}.nxs.h5").write_text(str(number))
        path = f"/SNS/KILL/IPTS-1/nexus/KILL_{number}.nxs.h5"
        bodies.append(
            {
                "facility": "SNS",
                "instrument": "KILL",
                "ipts": "IPTS-1",
                "run_number": str(number),
                "data_file": path,
            }
        )
    plant.send("/queue/POSTPROCESS.DATA_READY", *bodies)


def kill_while_running(plant: Facility, kill: Callable[[], None], times: int) -> None:
    """Kill each time another share of the runs is done, and once right at the start."""
    for round_number in range(times):
        wanted = RUNS * round_number // times
        assert plant.await_true(lambda wanted=wanted: done_runs(plant) >= wanted, 120)  # type: ignore[misc]
        kill()


def assert_everything_arrived(plant: Facility) -> None:
    arrived = plant.await_true(lambda: done_runs(plant) == RUNS, 180)
    assert arrived, unfinished(plant)
    events = plant.query("SELECT run_id, queue, count(*) FROM workflow_event GROUP BY 1, 2")
    assert {queue for _, queue, _ in events} == EVENTS
    assert len(events) == RUNS * len(EVENTS)
    assert [row for row in events if row[2] != 1] == []
    assert plant.query("SELECT reason FROM workflow_rejected_message") == []
    assert plant.await_true(lambda: plant.query("SELECT id FROM workflow_outbox") == [], 20)
    results = list((plant.root / "SNS/KILL/IPTS-1/shared/autoreduce").glob("*.reduced"))
    assert len(results) == RUNS
    assert plant.processes_naming(str(plant.root / "SNS" / "KILL")) == []


def unfinished(plant: Facility) -> str:
    rows = plant.query(
        "SELECT number, cataloguing, reduction, reduction_cataloguing FROM workflow_run"
        " WHERE least(cataloguing, reduction, reduction_cataloguing) < 5 ORDER BY 1"
    )
    jobs = plant.query(
        "SELECT step, phase, sent_at IS NOT NULL, left(error, 200), count(*)"
        " FROM workflow_job GROUP BY 1, 2, 3, 4"
    )
    return f"{len(rows)} runs are unfinished, such as {rows[:5]}; jobs: {jobs}"


@with_brokers("embedded", "activemq")
def test_the_manager_is_killed(plant: Facility) -> None:
    send_runs(plant)
    kill_while_running(plant, lambda: plant.kill("workflow_manager"), times=4)
    assert_everything_arrived(plant)


@with_brokers("embedded", "activemq")
def test_the_agent_is_killed(plant: Facility) -> None:
    send_runs(plant)
    kill_while_running(plant, lambda: plant.kill("agent"), times=4)
    assert_everything_arrived(plant)


def kill_broker(plant: Facility) -> None:
    assert plant.broker is not None
    plant.broker.kill()
    plant.broker.start()


# The embedded broker keeps its queues in memory: it promises to survive a clean stop only.
@with_brokers("activemq")
def test_the_broker_is_killed(plant: Facility) -> None:
    send_runs(plant)
    kill_while_running(plant, lambda: kill_broker(plant), times=3)
    assert_everything_arrived(plant)


@with_brokers("artemis")
def test_manager_agent_and_broker_are_killed_in_turn(plant: Facility) -> None:
    """Six deaths in one facility: its Java broker starts too slowly for one each."""
    send_runs(plant)
    turns = itertools.cycle(["workflow_manager", "agent", "broker"])

    def kill_next() -> None:
        name = next(turns)
        kill_broker(plant) if name == "broker" else plant.kill(name)

    kill_while_running(plant, kill_next, times=6)
    assert_everything_arrived(plant)
