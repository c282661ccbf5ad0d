"""How the demo finds out whether a broker is there and takes its credentials."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo.endpoints import BrokerEndpoint
from demo.processes import broker_answers
from tests.activemq import free_port
from tests.integration.broker.houses import EmbeddedProcess


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerEndpoint]:
    broker = EmbeddedProcess(tmp_path_factory.mktemp("readiness"))
    broker.start()
    yield BrokerEndpoint("127.0.0.1", broker.port, broker.user, broker.password)
    broker.stop()


def test_a_broker_that_takes_us_answers(endpoint: BrokerEndpoint) -> None:
    assert broker_answers(endpoint)


def test_a_wrong_password_is_no_answer(endpoint: BrokerEndpoint) -> None:
    assert not broker_answers(replace(endpoint, password="wrong"))


def test_a_closed_port_is_no_answer(endpoint: BrokerEndpoint) -> None:
    assert not broker_answers(replace(endpoint, port=free_port()))
