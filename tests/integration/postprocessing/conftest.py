"""One broker and one facility for each test; agents end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.postprocessing.facility import (
    AgentProcess,
    Broker,
    Desk,
    Facility,
    wait_until,
)

StartAgent = Callable[..., AgentProcess]


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    return Facility(tmp_path / "facility")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def desk(broker: Broker) -> Iterator[Desk]:
    opened = Desk(broker)
    yield opened
    opened.close()


@pytest.fixture
def start_agent(tmp_path: Path, facility: Facility, broker: Broker) -> Iterator[StartAgent]:
    started: list[AgentProcess] = []

    def start(**settings: Any) -> AgentProcess:
        folder = tmp_path / f"node{len(started)}"
        folder.mkdir()
        agent = AgentProcess(folder, facility, broker, **settings)
        agent.start()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        if agent.process.poll() is None:
            agent.kill()


@pytest.fixture
def agent(start_agent: StartAgent, desk: Desk) -> AgentProcess:
    """An agent with the usual settings that has said that it is there."""
    running = start_agent()
    wait_until(lambda: desk.named("TEST.HEARTBEAT"))
    return running
