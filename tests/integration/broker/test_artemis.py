"""Rights, repeated messages, slots and dying readers on Artemis, configured as deployed."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests import artemis
from tests.artemis import Artemis, ArtemisError
from tests.integration.broker.test_contract import receive, until
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import MessageRefusedError, OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.relay import DUPLICATE_ID

JOBS = "/queue/REDUCTION.DATA_READY"
RUNS = "/queue/POSTPROCESS.DATA_READY"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artemis]:
    if reason := artemis.require():
        pytest.skip(reason)
    with Artemis(tmp_path_factory.mktemp("artemis"), as_deployed=True) as running:
        yield running


def config(broker: Artemis, user: str) -> BrokerConfig:
    return BrokerConfig((broker.address,), user, broker.passwords[user], heartbeat_ms=1000)


def send(broker: Artemis, user: str, *messages: OutgoingMessage) -> None:
    with closing(StompPublisher(config(broker, user))) as publisher:
        publisher.publish(messages)


@contextmanager
def reading(broker: Artemis, user: str, *wishes: Subscription) -> Iterator[Consumer]:
    with Consumer(StompSubscriber(config(broker, user)), wishes, 1000) as consumer:
        assert until(lambda: consumer.is_connected)
        yield consumer


def taken(broker: Artemis, user: str, queue: str, number: int) -> list[bytes]:
    """Take `number` messages, see that there are no more, and leave the queue empty."""
    with reading(broker, user, Subscription(queue)) as consumer:
        deliveries = receive(consumer, number) + consumer.take(1, 0.4)
        consumer.ack_all(deliveries)
    return [each.body for each in deliveries]


def job(text: str) -> OutgoingMessage:
    return OutgoingMessage(JOBS, text.encode(), {DUPLICATE_ID: f"job {text}"})


@pytest.mark.parametrize(
    ("user", "destination"),
    [
        ("agent", "/queue/REDUCTION.COMPLETE"),
        ("agent", "POSTPROCESS.ERROR"),
        ("agent", "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"),
        ("agent", "/topic/SNS.ARCS.STATUS.POSTPROCESS"),
        ("agent", "/topic/SNS.COMMON.STATUS.WORKFLOW.ACK"),
        ("workflow", "/topic/SNS.COMMON.STATUS.PING"),
        ("workflow", "/topic/SNS.COMMON.STATUS.ACK"),
        ("workflow", "/topic/HFIR.COMMON.STATUS.ACK"),
        ("listener", "/topic/SNS.COMMON.STATUS.PING"),
        ("instruments", RUNS),
        ("instruments", "/topic/SNS.ARCS.APP.DASMON"),
        ("agent", "/queue/CALVERA.RAW.COMPLETE"),
        ("workflow", "/queue/CATALOG.ONCAT.DATA_READY"),
        ("workflow", "/queue/CALVERA.REDUCED.DATA_READY"),
        ("workflow", "/topic/SNS.COMMON.STATUS.WORKFLOW.0"),
        ("operator", "/queue/REDUCTION.REQUEST"),
    ],
)
def test_what_may_be_sent(broker: Artemis, user: str, destination: str) -> None:
    send(broker, user, OutgoingMessage(destination, b"{}"))
    if "topic" not in destination:
        is_job = user == "workflow" and destination.endswith("DATA_READY")
        reader = "agent" if is_job else "workflow"
        assert taken(broker, reader, destination, 1) == [b"{}"]


@pytest.mark.parametrize(
    ("user", "destination"),
    [
        ("agent", "/topic/SNS.ARCS.APP.DASMON"),
        ("agent", RUNS),
        ("agent", "/queue/ANYTHING.AT.ALL"),
        ("listener", "/queue/REDUCTION.REQUEST"),
        ("instruments", JOBS),
        ("agent", "/queue/CALVERA.RAW.DATA_READY"),
        ("workflow", "/queue/ANYTHING.AT.ALL"),
    ],
)
def test_what_may_not_be_sent(broker: Artemis, user: str, destination: str) -> None:
    with pytest.raises(MessageRefusedError, match="AMQ"):
        send(broker, user, OutgoingMessage(destination, b"{}"))


@pytest.mark.parametrize(("user", "queue"), [("agent", RUNS), ("workflow", JOBS)])
def test_what_may_not_be_read(
    broker: Artemis, user: str, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    subscriber = StompSubscriber(config(broker, user))
    with Consumer(subscriber, [Subscription(queue)], 1000) as consumer:
        assert until(lambda: "refused" in caplog.text)
        assert not consumer.is_connected


def test_a_queue_that_is_declared_later_is_read_without_a_restart(broker: Artemis) -> None:
    """Until then it is refused, and the others go on."""
    later = "/queue/POSTPROCESS.LATER"
    subscriber = StompSubscriber(config(broker, "workflow"))
    wishes = [Subscription(RUNS), Subscription(later)]
    with Consumer(subscriber, wishes, 1000) as consumer:
        assert until(lambda: consumer.is_connected)
        assert "does not exist" in subscriber.refused[later]
        send(broker, "instruments", OutgoingMessage(RUNS, b"meanwhile"))
        (held,) = receive(consumer, 1)
        broker.declare("POSTPROCESS.LATER")
        assert until(lambda: later in subscriber.subscribed)
        assert not held.is_stale, "the connection was not lost for it"
        send(broker, "workflow", OutgoingMessage(later, b"at last"))
        (delivery,) = receive(consumer, 1)
        assert delivery.body == b"at last"
        consumer.ack_all([held, delivery])


def test_a_message_that_is_sent_again_arrives_once(broker: Artemis) -> None:
    send(broker, "workflow", job("1"))
    send(broker, "workflow", job("1"))
    broker.kill()
    broker.start()
    send(broker, "workflow", job("1"))
    assert taken(broker, "agent", JOBS, 1) == [b"1"]


def test_a_batch_with_a_repeated_message_is_refused_whole_and_taken_one_by_one(
    broker: Artemis,
) -> None:
    """The relay does so: nothing is lost, nothing comes twice."""
    send(broker, "workflow", job("2"))
    batch = [job("2"), job("3"), job("4")]
    with pytest.raises(MessageRefusedError, match="committing"):
        send(broker, "workflow", *batch)
    for message in batch:
        send(broker, "workflow", message)
    assert taken(broker, "agent", JOBS, 3) == [b"2", b"3", b"4"]


def test_an_agent_gets_no_more_jobs_than_it_has_slots(broker: Artemis) -> None:
    """Its window counts bytes: small jobs must not all go to the first agent that asks."""
    three, two = Subscription(JOBS, prefetch=3), Subscription(JOBS, prefetch=2)
    with reading(broker, "agent", three) as one, reading(broker, "agent", two) as other:
        send(broker, "workflow", *(OutgoingMessage(JOBS, b"%d" % n) for n in range(8)))
        mine, yours = receive(one, 3), receive(other, 2)
        assert one.take(1, 0.4) + other.take(1, 0.1) == []
        one.ack_all(mine)
        other.ack_all(yours)
        rest = receive(one, 3, patience=1) + receive(other, 2, patience=1)
        assert sorted(each.body for each in mine + yours + rest) == [b"%d" % n for n in range(8)]
        for delivery in rest:
            delivery.ack()


def test_a_message_keeps_its_name_when_it_comes_again(broker: Artemis) -> None:
    """Events are told apart by it; Artemis itself puts the number of the reader in."""
    send(broker, "instruments", *(OutgoingMessage(RUNS, b"%d" % n) for n in range(5)))
    names = []
    for _ in range(2):
        with reading(broker, "workflow", Subscription(RUNS)) as consumer:
            names.append({each.body: each.message_id for each in receive(consumer, 5)})
    assert names[0] == names[1]
    assert len(set(names[0].values())) == 5
    assert len(taken(broker, "workflow", RUNS, 5)) == 5


def test_a_crowd_of_small_messages_does_not_stop_the_heartbeats(broker: Artemis) -> None:
    """Artemis sends by bytes, more than was asked for; a slow reader keeps its connection."""
    number = 3000
    for start in range(0, number, 500):
        numbers = range(start, start + 500)
        send(broker, "instruments", *(OutgoingMessage(RUNS, b"%d" % n) for n in numbers))
    wish = Subscription(RUNS, prefetch=1000)
    with Consumer(StompSubscriber(config(broker, "workflow")), [wish], 1000) as consumer:
        assert until(lambda: consumer.is_connected)
        (first,) = consumer.take(1, 5)
        assert not until(lambda: first.is_stale, patience=4), "four heart-beats long"
        rest = receive(consumer, number - 1)
        assert [each.body for each in (first, *rest)] == [b"%d" % n for n in range(number)]
        consumer.ack_all([first, *rest])


def test_another_distribution_is_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / artemis.ARCHIVE
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("bin/evil", "")
    found = hashlib.sha512(archive.read_bytes()).hexdigest()
    with pytest.raises(ArtemisError, match=found):
        artemis.unpack(archive, tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()
