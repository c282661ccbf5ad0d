"""Agents that are killed, brokers that go away: nothing is lost, nothing finished is run twice."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.integration.postprocessing.conftest import StartAgent
from tests.integration.postprocessing.facility import (
    REPOSITORY,
    AgentProcess,
    Broker,
    Desk,
    Facility,
    processes_with,
    wait_until,
)

COUNT = "open('runs', 'a').write('x')\n"


def _runs(facility: Facility) -> int:
    path = facility.output() / "runs"
    return len(path.read_text()) if path.exists() else 0


def _wait_for_runs(facility: Facility, number: int) -> None:
    wait_until(lambda: _runs(facility) == number)


def _settled(agent: AgentProcess) -> int:
    return len(list((agent.journal / "settled").iterdir()))


def test_a_job_of_a_killed_agent_is_run_again_and_leaves_nothing(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    agent = start_agent()
    facility.script(
        COUNT + "import os, time\nif os.path.getsize('runs') == 1:\n"
        "    if os.fork() == 0: os.setsid()\n    open('up', 'w')\n    time.sleep(600)"
    )
    desk.send(facility.job(job_id=5, attempt=1))
    wait_until((facility.output() / "up").exists)
    agent.kill()
    wait_until(lambda: not processes_with(str(facility.root / "SNS")))
    agent.start()
    [report] = desk.wait_for("REDUCTION.COMPLETE")
    assert (report["job_id"], report["attempt"]) == (5, 1)
    assert _runs(facility) == 2
    wait_until(lambda: _settled(agent) == 1)
    assert len(desk.named("REDUCTION.COMPLETE")) == 1


def test_leftovers_are_killed_even_if_the_supervisor_was_killed_too(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    agent = start_agent()
    facility.script(
        COUNT + "import os, time\nif os.path.getsize('runs') == 1:\n"
        "    if os.fork() == 0: os.setsid()\n    open('up', 'w')\n    time.sleep(600)"
    )
    desk.send(facility.job())
    wait_until((facility.output() / "up").exists)
    supervisors = psutil.Process(agent.process.pid).children()
    agent.process.send_signal(signal.SIGSTOP)
    for supervisor in supervisors:
        supervisor.kill()
    agent.kill()
    assert processes_with(str(facility.root / "SNS")) != []
    agent.start()
    desk.wait_for("REDUCTION.COMPLETE")
    assert processes_with(str(facility.root / "SNS")) == []


def test_a_result_outlives_agent_and_broker(
    facility: Facility, desk: Desk, broker: Broker, start_agent: StartAgent
) -> None:
    agent = start_agent()
    facility.script(COUNT + "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    desk.send(facility.job(job_id=5, attempt=1))
    desk.wait_for("REDUCTION.STARTED")
    broker.stop()
    (facility.output() / "go").touch()
    [record] = (agent.journal / "open").glob("*.json")
    wait_until(lambda: json.loads(record.read_text())["is_ended"])
    agent.kill()
    agent.start()
    broker.start()
    desk.wait_for("REDUCTION.COMPLETE", timeout=40)
    # The delivery is acknowledged without a second run: nothing is in work or waits.
    wait_until(lambda: "is acknowledged" in agent.log, 40)
    assert _settled(agent) == 1
    agent.stop()
    start_agent(max_procs=1)
    desk.send(facility.job(2))
    finished = desk.wait_for("REDUCTION.COMPLETE", 2, timeout=40)
    assert [report["run_number"] for report in finished] == [1, 2]
    assert _runs(facility) == 2


def test_a_lost_connection_does_not_start_a_running_job_again(
    facility: Facility, desk: Desk, broker: Broker, start_agent: StartAgent
) -> None:
    agent = start_agent()
    facility.script(COUNT + "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    desk.send(facility.job())
    desk.wait_for("REDUCTION.STARTED")
    broker.stop()
    broker.start()
    wait_until(lambda: "came again and goes on" in agent.log, 40)
    (facility.output() / "go").touch()
    desk.wait_for("REDUCTION.COMPLETE", timeout=40)
    wait_until(lambda: _settled(agent) == 1)
    assert _runs(facility) == 1


def test_a_job_sent_twice_is_run_once(facility: Facility, desk: Desk, agent: AgentProcess) -> None:
    facility.script(COUNT)
    for _ in range(2):
        desk.send(facility.job(job_id=5, attempt=1))
        desk.wait_for("REDUCTION.COMPLETE")
        wait_until(lambda: _settled(agent) == 1)
    wait_until(lambda: "came again after" in agent.log)
    desk.send(facility.job(job_id=5, attempt=2))
    desk.wait_for("REDUCTION.COMPLETE", 2)
    assert _runs(facility) == 2


def test_the_same_wish_without_a_job_number_is_run_each_time(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script(COUNT)
    for number in (1, 2):
        desk.send(facility.job())
        desk.wait_for("REDUCTION.COMPLETE", number)
    assert _runs(facility) == 2
    assert agent.process.poll() is None


def test_a_job_that_takes_the_agent_with_it_is_given_up(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    agent = start_agent()
    facility.script(COUNT + "import time; time.sleep(600)")
    desk.send(facility.job())
    for number in (1, 2, 3):
        _wait_for_runs(facility, number)
        agent.kill()
        agent.start()
    [report] = desk.wait_for("REDUCTION.ERROR")
    text = "Reduction: the agent was killed 3 times while it did this job "
    assert report["error"] == text


def test_stopping_lets_jobs_finish(facility: Facility, desk: Desk, start_agent: StartAgent) -> None:
    agent = start_agent()
    facility.script("import time; time.sleep(1)")
    desk.send(facility.job())
    desk.wait_for("REDUCTION.STARTED")
    assert agent.stop() == 0
    assert len(desk.wait_for("REDUCTION.COMPLETE")) == 1


def test_stopping_gives_unfinished_jobs_back(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    agent = start_agent(stop_grace_seconds=0.2)
    facility.script(COUNT + "import os, time\nif os.path.getsize('runs') == 1: time.sleep(600)")
    desk.send(facility.job())
    wait_until(lambda: _runs(facility) == 1)
    assert agent.stop(timeout=8) == 0
    assert processes_with(str(facility.root / "SNS")) == []
    start_agent(agent_name="other")
    [report] = desk.wait_for("REDUCTION.COMPLETE")
    assert report["agent"] == "other"
    assert desk.named("REDUCTION.ERROR") == []


def test_two_agents_do_not_share_a_journal(
    tmp_path: Path, facility: Facility, broker: Broker, start_agent: StartAgent, desk: Desk
) -> None:
    first = start_agent()
    wait_until(lambda: desk.named("TEST.HEARTBEAT"))
    folder = tmp_path / "second"
    folder.mkdir()
    second = AgentProcess(folder, facility, broker, journal_directory=str(first.journal))
    second.start()
    assert second.process.wait(20) == 2
    assert "Another agent uses" in second.log


def test_all_problems_of_a_configuration_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "agent.conf"
    path.write_text('{"brokers": 7, "max_procs": "many", "amq_pwd": "hidden"}')
    done = subprocess.run(
        [sys.executable, "-m", "postprocessing", "--config", str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()] == [
        "amq_user",
        "brokers",
        "max_procs",
    ]
    assert "hidden" not in done.stderr


def test_a_damaged_record_is_put_aside(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    agent = start_agent()
    wait_until(lambda: desk.named("TEST.HEARTBEAT"))
    agent.kill()
    (agent.journal / "open" / "x.json").write_text('{"key": ')
    agent.start()
    facility.script("pass")
    desk.send(facility.job())
    desk.wait_for("REDUCTION.COMPLETE")
    assert (agent.journal / "rejected" / "x.json").exists()
