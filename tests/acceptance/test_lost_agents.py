"""Agents die, or stop for a while, in the middle of a job: another agent does it.

Real processes: manager, broker, database, two agents of ours and an agent as they are in the
field, which acknowledges a job before it does it and says neither job nor agent in its reports.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.facility import ROOT
from tests.facility import Facility, require, running_facility

# A run waits in its script for as long as its file `hold` is there.
SCRIPT = """
import pathlib, sys, time
data_file, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
with (output / (data_file.name + ".starts")).open("a") as log:
    log.write("x")
while data_file.with_suffix(".hold").exists():
    time.sleep(0.05)
(output / (data_file.name + ".reduced")).write_text("done")
"""


class AgentProcess:
    """An agent of its own name on its own journal, that nobody starts again."""

    def __init__(self, plant: Facility, folder: Path, name: str) -> None:
        given = plant.root.parent / "agent" / "post_processing.conf"
        content = json.loads(given.read_text()) | {
            "agent_name": name,
            "journal_directory": str(folder / name),
            "log_file": str(folder / f"{name}.log"),
            "processors": ["reduction_processor.ReductionProcessor"],
            "max_procs": 1,
        }
        config = folder / f"{name}.conf"
        config.write_text(json.dumps(content))
        self.name = name
        with (folder / f"{name}.out").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postprocessing", "--config", str(config)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def signal_all(self, number: signal.Signals) -> None:
        """As if the machine stopped, went on, or lost its power."""
        main = psutil.Process(self.process.pid)
        for each in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def stop(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.signal_all(signal.SIGKILL)
        self.process.wait()


OLD_AGENT = Path(__file__).with_name("old_agent.py")


class OldAgent(AgentProcess):
    """`old_agent.py`, which takes one reduction and never ends it."""

    def __init__(self, plant: Facility, folder: Path, name: str) -> None:
        self.name = name
        broker = plant.endpoints.broker
        with (folder / f"{name}.out").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(OLD_AGENT), broker.host, str(broker.port)),
                    *(broker.user, broker.password, name),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def plant() -> Iterator[Facility]:
    """The facility's own agent takes no reductions, so that a test says who does."""
    if reason := require("activemq"):
        pytest.skip(reason)
    with running_facility("activemq") as running:
        running.install("LOST", SCRIPT)
        configuration = running.root.parent / "agent" / "post_processing.conf"
        content = json.loads(configuration.read_text())
        kinds = ("oncat_processor", "oncat_reduced_processor")
        content["processors"] = [f"{kind}.ONCatProcessor" for kind in kinds]
        configuration.write_text(json.dumps(content))
        assert running.await_true(lambda: pid_of_own_agent(running) != "", 60)
        before = pid_of_own_agent(running)
        running.kill("agent")
        assert running.await_true(lambda: pid_of_own_agent(running) != before, 60)
        yield running


def pid_of_own_agent(plant: Facility) -> str:
    rows = plant.query("SELECT pid FROM workflow_agent")
    return str(rows[0][0]) if rows else ""


class SecondManager:
    """Another workflow manager beside the facility's, which a test freezes and wakes."""

    def __init__(self, plant: Facility, folder: Path) -> None:
        self._plant = plant
        first = psutil.Process(plant.supervisor.pids()["workflow_manager"])
        with (folder / "manager.out").open("wb") as log:
            self.process = subprocess.Popen(
                first.cmdline(), cwd=ROOT, env=first.environ(), stdout=log, stderr=log
            )

    def freeze(self) -> None:
        """Stop it between two transactions: what it would hold is not what is tested."""
        while True:
            self.process.send_signal(signal.SIGSTOP)
            if self._plant.query(IN_TRANSACTION + " AND state_change < now()") == []:
                return
            self.process.send_signal(signal.SIGCONT)
            self._plant.query("SELECT pg_sleep(0.1)")

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.wake()
        self.process.terminate()
        self.process.wait(30)


IN_TRANSACTION = "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"


@pytest.fixture
def second_manager(plant: Facility, tmp_path: Path) -> Iterator[SecondManager]:
    manager = SecondManager(plant, tmp_path)
    managers = "SELECT count(*) FROM workflow_manager_process WHERE is_connected"
    assert plant.await_true(lambda: plant.query(managers) == [(2,)], 60)
    yield manager
    manager.stop()


@pytest.fixture
def agents(plant: Facility, tmp_path: Path) -> Iterator[dict[str, AgentProcess]]:
    """Agents by name; all are gone afterwards."""
    started: dict[str, AgentProcess] = {}
    yield started
    for agent in started.values():
        agent.stop()


def send_run(plant: Facility, number: int, *, is_held: bool) -> None:
    folder = plant.root / "SNS" / "LOST" / "IPTS-1" / "nexus"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"LOST_{number}.nxs.h5"
    file.write_text("data")
    if is_held:
        file.with_suffix(".hold").touch()
    body = {
        **{"facility": "SNS", "instrument": "LOST", "ipts": "IPTS-1", "run_number": number},
        "data_file": f"/SNS/LOST/IPTS-1/nexus/LOST_{number}.nxs.h5",
    }
    plant.send("/queue/POSTPROCESS.DATA_READY", body)


def let_go(plant: Facility, number: int) -> None:
    (plant.root / f"SNS/LOST/IPTS-1/nexus/LOST_{number}.nxs.hold").unlink()


def jobs(plant: Facility, number: int) -> list[tuple[Any, ...]]:
    """Attempt, phase, agent and error of the reductions of a run."""
    return plant.query(
        "SELECT attempt, phase, agent, error FROM workflow_job"
        " JOIN workflow_run AS run ON run.id = run_id"
        " WHERE step = 'reduction' AND run.number = %s ORDER BY attempt",
        number,
    )


def is_started(plant: Facility, number: int, agent: str) -> bool:
    return any(job[1:3] == (2, agent) for job in jobs(plant, number))


def is_known(plant: Facility, agent: str) -> bool:
    return bool(plant.query("SELECT 1 FROM workflow_agent WHERE name = %s", agent))


def silence_before_attempt_2(plant: Facility, number: int, agent: str) -> float:
    """Seconds from the agent's last sign of life until its job was on its way again."""
    [[seconds]] = plant.query(
        "SELECT extract(epoch FROM job.requested_at - greatest(agent.seen_at, first.started_at))"
        " FROM workflow_job AS job JOIN workflow_run AS run ON run.id = job.run_id"
        " JOIN workflow_job AS first ON first.run_id = run.id AND first.step = job.step"
        " AND first.attempt = 1, workflow_agent AS agent"
        " WHERE job.step = 'reduction' AND job.attempt = 2 AND run.number = %s"
        " AND agent.name = %s",
        *(number, agent),
    )
    return float(seconds)


def test_f3_f6_f7_agents_die_and_stop_and_a_manager_is_frozen_meanwhile(
    plant: Facility,
    agents: dict[str, AgentProcess],
    second_manager: SecondManager,
    tmp_path: Path,
) -> None:
    def begin(kind: type[AgentProcess], name: str, run: int) -> None:
        """An agent that is the only one with room takes the run."""
        agents[name] = kind(plant, tmp_path, name)
        assert plant.await_true(lambda: is_known(plant, name), 40)
        send_run(plant, run, is_held=True)
        assert plant.await_true(lambda: is_started(plant, run, name), 30), jobs(plant, run)

    begin(AgentProcess, "stopped", 2)
    begin(AgentProcess, "killed", 3)
    begin(OldAgent, "old", 1)  # last, because it would take a second run and let it wait
    answering = "SELECT count(slots) FROM workflow_agent WHERE name IN ('stopped', 'killed')"
    assert plant.await_true(lambda: plant.query(answering) == [(2,)], 30)

    second_manager.freeze()
    agents["old"].signal_all(signal.SIGKILL)
    agents["stopped"].signal_all(signal.SIGSTOP)
    assert plant.await_true(lambda: len(jobs(plant, 2)) == 2, 60)
    assert silence_before_attempt_2(plant, 2, "stopped") < 30

    # The broker gives the job of a dead agent of ours to another; nothing is sent again.
    agents["other"] = AgentProcess(plant, tmp_path, "other")
    let_go(plant, 2)
    assert plant.await_true(lambda: jobs(plant, 2)[1][1:3] == (5, "other"), 60), jobs(plant, 2)
    agents["killed"].signal_all(signal.SIGKILL)
    assert plant.await_true(lambda: is_started(plant, 3, "other"), 60), jobs(plant, 3)
    let_go(plant, 3)
    assert plant.await_true(lambda: jobs(plant, 3)[-1][1] == 5, 60)
    assert [job[:3] for job in jobs(plant, 3)] == [(1, 5, "other")]

    # An agent that acknowledges first takes the job along when it dies: it is sent again.
    assert plant.await_true(lambda: len(jobs(plant, 1)) == 2, 90), jobs(plant, 1)
    assert silence_before_attempt_2(plant, 1, "old") < 70
    let_go(plant, 1)
    assert plant.await_true(lambda: jobs(plant, 1)[1][1:3] == (5, "other"), 60), jobs(plant, 1)
    first = jobs(plant, 1)[0]
    assert first[1] == 3
    assert first[3].startswith("Agent old fell silent at ")

    # The frozen manager wakes and does no harm. The stopped agent wakes: what it brings is history.
    second_manager.wake()
    agents["stopped"].signal_all(signal.SIGCONT)
    assert plant.await_true(lambda: is_alive_again(plant, "stopped"), 60)
    assert plant.await_true(lambda: plant.query("SELECT id FROM workflow_outbox") == [], 20)
    assert [[job[0] for job in jobs(plant, number)] for number in (1, 2, 3)] == [
        [1, 2],
        [1, 2],
        [1],
    ]
    assert jobs(plant, 2)[1][1:3] == (5, "other")
    assert all_runs_are_done(plant)
    assert plant.query("SELECT reason FROM workflow_rejected_message") == []


def is_alive_again(plant: Facility, agent: str) -> bool:
    [[lost_at]] = plant.query("SELECT lost_at FROM workflow_agent WHERE name = %s", agent)
    reports = plant.query(
        "SELECT count(*) FROM workflow_event JOIN workflow_run AS run ON run.id = run_id"
        " WHERE run.number = 2 AND queue = 'REDUCTION.COMPLETE'"
    )
    return lost_at is None and reports == [(2,)]


def all_runs_are_done(plant: Facility) -> bool:
    """And their results were catalogued once."""
    done = "SELECT count(*) FROM workflow_run WHERE reduction = 5 AND reduction_cataloguing = 5"
    once = "SELECT count(*) FROM workflow_job WHERE step = 'reduction_cataloguing'"
    return plant.await_true(lambda: plant.query(done) == [(3,)], 30) and plant.query(once) == [(3,)]
