from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.activemq import require
from tests.integration.broker.houses import House, MemoryHouse, StompHouse, running


def _stomp_house(name: str, factory: pytest.TempPathFactory) -> Iterator[StompHouse]:
    reason = require() if name == "activemq" else None
    if reason is not None:
        pytest.skip(reason)
    with running(name, factory.mktemp(name)) as house:
        yield house


@pytest.fixture(scope="session", params=["memory", "embedded", "activemq"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Each kind of broker, shared by the tests that leave it in peace."""
    if request.param == "memory":
        yield MemoryHouse()
    else:
        yield from _stomp_house(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=["embedded", "activemq"])
def stomp_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StompHouse]:
    """Each kind of broker in a process of its own, for tests that freeze or kill it."""
    yield from _stomp_house(request.param, tmp_path_factory)


@pytest.fixture
def name() -> Callable[[], str]:
    """Names of destinations that no other test uses."""
    return lambda: f"TEST.{uuid4().hex[:8]}.READY"
