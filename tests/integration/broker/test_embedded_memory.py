"""A broker that is full says so, and recovers."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.broker.houses import EmbeddedProcess
from tests.integration.broker.test_embedded import Wire
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import BrokerUnavailableError, OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher

BODY = b"x" * 40_000


@pytest.fixture
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedProcess]:
    broker = EmbeddedProcess(tmp_path_factory.mktemp("memory"), "--max-memory-bytes", "100000")
    broker.start()
    yield broker
    broker.stop()


def test_a_send_beyond_the_limit_is_refused(process: EmbeddedProcess) -> None:
    with closing(Wire(process, "1.2")) as sender, closing(Wire(process, "1.2")) as other:
        answers = []
        for _ in range(3):
            sender.send("SEND", {"destination": "Q", "receipt": "r"}, BODY)
            answers.append(sender.read())
        assert [each.command for each in answers] == ["RECEIPT", "RECEIPT", "ERROR"]
        assert "the broker is full" in answers[-1].headers["message"]
        other.send("SEND", {"destination": "/topic/T"}, BODY)  # dropped, not refused
        other.send("SUBSCRIBE", {"id": "s", "destination": "Q"})
        assert [other.read().body, other.read().body] == [BODY, BODY]
        other.send("SEND", {"destination": "Q"}, b"room again")
        assert other.read().body == b"room again"


def test_a_transaction_is_refused_before_its_commit(process: EmbeddedProcess) -> None:
    with closing(Wire(process, "1.2")) as sender, closing(Wire(process, "1.2")) as other:
        sender.send("BEGIN", {"transaction": "t"})
        for _ in range(3):
            sender.send("SEND", {"destination": "Q", "transaction": "t"}, BODY)
        assert "the broker is full" in sender.read().headers["message"]
        other.send("BEGIN", {"transaction": "t"})  # what was promised is free again
        for _ in range(2):
            other.send("SEND", {"destination": "Q", "transaction": "t"}, BODY)
        other.send("COMMIT", {"transaction": "t", "receipt": "r"})
        assert other.read().command == "RECEIPT"
        other.send("SUBSCRIBE", {"id": "s", "destination": "Q"})
        assert [other.read().body, other.read().body] == [BODY, BODY]


def test_a_full_broker_is_waited_for_and_refuses_no_message(process: EmbeddedProcess) -> None:
    """What is refused is given up by the relay; what finds no room stays in the outbox."""
    message = OutgoingMessage("/queue/Q", BODY)
    config = BrokerConfig((("127.0.0.1", process.port),), process.user, process.password)
    with closing(StompPublisher(config)) as publisher:
        publisher.publish([message])
        publisher.publish([message])
        with pytest.raises(BrokerUnavailableError, match="the broker is full"):
            publisher.publish([message])
