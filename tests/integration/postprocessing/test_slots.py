"""Nothing takes a slot for good, and an agent that is of no use does not live on."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postprocessing.agent import Agent, VitalThreadError
from postprocessing.config import parse
from postprocessing.journal import Journal, Record, Report
from tests.integration.postprocessing.conftest import StartAgent
from tests.integration.postprocessing.facility import Desk, Facility, wait_until
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.protocol.codec import encode

JOBS = "/queue/CATALOG.ONCAT.DATA_READY"


class BrokenJournal(Journal):
    """A mistake of ours, in the operations that are named."""

    def __init__(self, directory: Path, *broken: str) -> None:
        super().__init__(directory, 10)
        self._broken = broken

    def begin(self, key: str, started: Report) -> Record:
        self._may_break("begin")
        return super().begin(key, started)

    def finish(self, key: str, final: Report) -> Record:
        self._may_break("finish")
        return super().finish(key, final)

    def _may_break(self, operation: str) -> None:
        if operation in self._broken:
            raise KeyError(operation)


@contextmanager
def running(facility: Facility, journal: Journal, broker: MemoryBroker) -> Iterator[None]:
    settings = {"amq_user": "u", "amq_pwd": "p", "brokers": [["a", 1]], "agent_name": "node7"}
    config = parse({**settings, "facility_root": str(facility.root), "stop_grace_seconds": 0})
    agent = Agent(config, journal, broker.publisher(), broker.subscriber())
    thread = threading.Thread(target=agent.run, args=(facility.root / "publisher.json",))
    thread.start()
    yield
    agent.stop()
    thread.join(20)
    assert not thread.is_alive()


def send(broker: MemoryBroker, content: dict[str, Any]) -> bytes:
    body = encode(content)
    broker.publisher().publish([OutgoingMessage(JOBS, body)])
    return body


def unacknowledged(broker: MemoryBroker) -> int:
    """What comes back when the agent is gone."""
    return broker.depth("CATALOG.ONCAT.DATA_READY")


@pytest.mark.parametrize("number", [1, 7])
def test_a_job_that_meets_our_own_mistake_is_reported(
    facility: Facility, tmp_path: Path, number: int
) -> None:
    journal, broker = BrokenJournal(tmp_path / "journal", "begin"), MemoryBroker()
    journal.open()
    with running(facility, journal, broker):
        for run in range(number):
            send(broker, facility.job(run))
        wait_until(lambda: broker.depth("CATALOG.ONCAT.ERROR") == number, timeout=10)
        wait_until(lambda: len(list((tmp_path / "journal/settled").iterdir())) == number)
    assert unacknowledged(broker) == 0
    journal.close()


def test_a_job_that_cannot_even_be_reported_is_kept(facility: Facility, tmp_path: Path) -> None:
    journal, broker = BrokenJournal(tmp_path / "journal", "begin", "finish"), MemoryBroker()
    journal.open()
    with running(facility, journal, broker):
        body = send(broker, facility.job(1))
        wait_until(lambda: list((tmp_path / "journal/rejected").glob("*.reason")))
    [kept] = (tmp_path / "journal/rejected").glob("*.body")
    assert kept.read_bytes() == body
    assert kept.with_suffix(".reason").read_text() == "ONCAT: KeyError: 'begin' \n"
    assert unacknowledged(broker) == 0
    journal.close()


def test_reports_over_the_limit_of_the_broker_are_shortened(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    start_agent(max_procs=1)
    facility.script("print(1)")
    large = facility.job(1, job_id=5, attempt=1)
    large["pad"] = "x" * (1024 * 1024 - len(encode(large)) - 30)
    desk.send(large)
    desk.send(facility.job(2))
    first, second = desk.wait_for("REDUCTION.COMPLETE", 2)
    assert (first["run_number"], first["job_id"], first["exit_code"]) == (1, 5, 0)
    assert "too large" in first["information"]
    assert second["run_number"] == 2


class MutePublisher:
    """A mistake of ours in what sends."""

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        raise KeyError(messages[0].destination)

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_agent_whose_reporter_ended_ends_too(facility: Facility, tmp_path: Path) -> None:
    settings = {"amq_user": "u", "amq_pwd": "p", "brokers": [["a", 1]]}
    journal = Journal(tmp_path / "journal", 10)
    journal.open()
    agent = Agent(parse(settings), journal, MutePublisher(), MemoryBroker().subscriber())
    with pytest.raises(VitalThreadError, match="reporter"):
        agent.run(facility.root / "publisher.json")
    journal.close()


def test_the_liveness_file_is_touched_again_and_again(
    tmp_path: Path, start_agent: StartAgent
) -> None:
    file = tmp_path / "alive"
    start_agent(liveness_file=str(file))
    wait_until(file.exists)
    first = file.stat().st_mtime_ns
    wait_until(lambda: file.stat().st_mtime_ns > first, timeout=10)
