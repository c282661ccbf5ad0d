from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests import activemq, artemis
from tests.integration.broker.houses import House, MemoryHouse, StompHouse, running


def _stomp_house(name: str, factory: pytest.TempPathFactory) -> Iterator[StompHouse]:
    requirements = {"activemq": activemq.require, "artemis": artemis.require}
    if name in requirements and (reason := requirements[name]()):
        pytest.skip(reason)
    with running(name, factory.mktemp(name)) as house:
        yield house


@pytest.fixture(scope="session", params=["memory", "embedded", "activemq", "artemis"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Each kind of broker, shared by the tests that leave it in peace."""
    if request.param == "memory":
        yield MemoryHouse()
    else:
        yield from _stomp_house(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=["embedded", "activemq", "artemis"])
def stomp_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StompHouse]:
    """Each kind of broker in a process of its own, for tests that freeze or kill it."""
    yield from _stomp_house(request.param, tmp_path_factory)


@pytest.fixture
def name() -> Callable[[], str]:
    """Names of destinations that no other test uses."""
    return lambda: f"TEST.{uuid4().hex[:8]}.READY"
