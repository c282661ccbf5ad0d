"""Who may do what on ActiveMQ, as deploy/activemq/activemq.xml says."""

from collections.abc import Iterator

import pytest

from tests.activemq import ActiveMQ, require
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import MessageRefusedError, OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher


@pytest.fixture(scope="module")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMQ]:
    reason = require()
    if reason is not None:
        pytest.skip(reason)
    with ActiveMQ(tmp_path_factory.mktemp("rules")) as broker:
        yield broker


def send(broker: ActiveMQ, user: str, destination: str) -> None:
    publisher = StompPublisher(BrokerConfig((broker.address,), user, broker.passwords[user]))
    try:
        publisher.publish([OutgoingMessage(destination, b"{}")])
    finally:
        publisher.close()


@pytest.mark.parametrize(
    ("user", "destination"),
    [
        ("agent", "/queue/REDUCTION.COMPLETE"),
        ("agent", "/queue/POSTPROCESS.ERROR"),
        ("agent", "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"),
        ("agent", "/topic/SNS.ARCS.STATUS.POSTPROCESS"),
        ("agent", "/topic/SNS.COMMON.STATUS.WORKFLOW.ACK"),
        ("workflow", "/topic/SNS.COMMON.STATUS.PING"),
        ("workflow", "/topic/SNS.COMMON.STATUS.ACK"),
        ("workflow", "/topic/HFIR.COMMON.STATUS.ACK"),
        ("listener", "/topic/SNS.COMMON.STATUS.PING"),
        ("instruments", "/queue/POSTPROCESS.DATA_READY"),
        ("instruments", "/topic/SNS.ARCS.APP.DASMON"),
        ("workflow", "/queue/ANYTHING.AT.ALL"),
    ],
)
def test_what_is_allowed(activemq: ActiveMQ, user: str, destination: str) -> None:
    send(activemq, user, destination)


@pytest.mark.parametrize(
    ("user", "destination"),
    [
        ("agent", "/topic/SNS.ARCS.APP.DASMON"),
        ("agent", "/queue/ANYTHING.AT.ALL"),
        ("listener", "/queue/REDUCTION.REQUEST"),
        ("instruments", "/queue/REDUCTION.DATA_READY"),
    ],
)
def test_what_is_refused(activemq: ActiveMQ, user: str, destination: str) -> None:
    with pytest.raises(MessageRefusedError, match="not authorized"):
        send(activemq, user, destination)
