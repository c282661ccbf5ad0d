"""F18: a job that takes its agent with it each time, on ActiveMQ Classic.

Not on Artemis: what a dying reader held may be stuck there (docs/deployment.md), and then it is the
workflow manager that sends the job again.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import activemq
from tests.activemq import ActiveMQ
from tests.broker_process import BrokerProcess
from tests.integration.postprocessing.facility import (
    AgentProcess,
    Broker,
    Desk,
    Facility,
    wait_until,
)
from workflow_manager.broker.config import BrokerConfig

_DEADLY = """
import os, signal
open('runs', 'a').write('x')
os.kill(int(open('agent.pid').read()), signal.SIGKILL)
signal.pause()
"""


class JavaBroker(Broker):
    """A broker that somebody else started."""

    def __init__(self, process: BrokerProcess) -> None:
        self._java = process
        self.port = process.port

    @property
    def config(self) -> BrokerConfig:
        return BrokerConfig((self._java.address,), self._java.user, self._java.password)

    def agent(self, folder: Path, facility: Facility) -> AgentProcess:
        user = {"amq_user": "agent", "amq_pwd": self._java.passwords["agent"]}
        heart_beat = "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"
        return AgentProcess(folder, facility, self, heart_beat=heart_beat, **user)


@pytest.fixture
def java(tmp_path: Path) -> Iterator[JavaBroker]:
    if reason := activemq.require():
        pytest.skip(reason)
    with ActiveMQ(tmp_path / "activemq") as process:
        yield JavaBroker(process)


def numbers(desk: Desk, queue: str) -> set[int]:
    return {report["run_number"] for report in desk.named(queue)}


def test_three_attempts_and_then_an_error_while_others_flow(
    java: JavaBroker, facility: Facility, tmp_path: Path
) -> None:
    output = facility.output()
    output.mkdir(parents=True)
    facility.script(_DEADLY)
    facility.script("open('well', 'a').write('x')", "CNCS")
    agent = java.agent(tmp_path, facility)
    with closing(Desk(java)) as desk:
        desk.send(facility.job(run=99, job_id=1, attempt=1))
        for run in range(20):
            desk.send(facility.job(run=run, instrument="CNCS", job_id=run + 2, attempt=1))
        for _ in range(3):
            agent.start()
            (output / "agent.pid").write_text(str(agent.process.pid))
            agent.process.wait(30)
        agent.start()
        [report] = desk.wait_for("REDUCTION.ERROR", timeout=30)
        assert report["run_number"] == 99
        text = "Reduction: the agent was killed 3 times while it did this job "
        assert report["error"] == text
        # A report may come twice, if its agent was killed before it knew that it had been sent.
        wait_until(lambda: numbers(desk, "REDUCTION.COMPLETE") == set(range(20)), 60)
        assert numbers(desk, "REDUCTION.ERROR") == {99}
        assert (output / "runs").read_text() == "xxx"
        assert agent.stop() == 0
