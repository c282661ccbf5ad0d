"""Real brokers give up on a job: the manager learns of it, and the run does not wait for ever."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from tests import activemq, artemis
from tests.activemq import ActiveMQ
from tests.artemis import Artemis
from tests.broker_process import BrokerProcess
from tests.integration.broker.test_contract import until
from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager import dead_letters
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import Delivery, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain.steps import Phase
from workflow_manager.handlers import handle
from workflow_manager.models import Job, OutboxMessage, RejectedMessage, Run
from workflow_manager.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = "/queue/REDUCTION.DATA_READY"


class ArtemisWithLimit(Artemis):
    """As deployed, but by a site that lets Artemis give up after three attempts."""

    def _command(self) -> list[str]:
        file = self._directory / "etc" / "broker.xml"
        words = file.read_text(encoding="utf-8")
        limited = words.replace("attempts>-1</max", "attempts>3</max")
        assert limited != words
        file.write_text(limited, encoding="utf-8")
        return super()._command()


def _artemis(directory: Path) -> BrokerProcess:
    return ArtemisWithLimit(directory, user="workflow", as_deployed=True)


_BROKERS: dict[str, tuple[Callable[[], str | None], Callable[[Path], BrokerProcess]]] = {
    "activemq": (activemq.require, ActiveMQ),
    "artemis": (artemis.require, _artemis),
}


@pytest.fixture(scope="module", params=list(_BROKERS))
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrokerProcess]:
    require, make = _BROKERS[request.param]
    if reason := require():
        pytest.skip(reason)
    with make(tmp_path_factory.mktemp(request.param)) as running:
        yield running


def config(broker: BrokerProcess, user: str) -> BrokerConfig:
    return BrokerConfig((broker.address,), user, broker.passwords[user], heartbeat_ms=1000)


@contextmanager
def reading(broker: BrokerProcess, user: str, queue: str) -> Iterator[Consumer]:
    subscriber = StompSubscriber(config(broker, user))
    with Consumer(subscriber, [Subscription(queue, 1)], 10) as consumer:
        assert until(lambda: consumer.is_connected)
        yield consumer


def relayed(broker: BrokerProcess) -> None:
    publisher = StompPublisher(config(broker, "workflow"))
    try:
        Relay(publisher).drain()
    finally:
        publisher.close()


def one(consumer: Consumer) -> Delivery:
    [delivery] = consumer.take(1, 10)
    return delivery


def give_up(broker: BrokerProcess) -> None:
    """What an agent does that cannot take a job: it refuses it until nobody brings it again."""
    for _ in range(3):
        with reading(broker, "agent", JOBS) as agent:
            for delivery in agent.take(1, 2):
                delivery.nack()


@pytest.fixture
def job(broker: BrokerProcess) -> Job:
    """A reduction whose message lies with the broker."""
    take_in(arrival("POSTPROCESS.DATA_READY", "m1"))
    OutboxMessage.objects.exclude(job__step="reduction").delete()
    relayed(broker)
    return Job.objects.get(step="reduction")


def test_a_job_that_no_agent_takes_fails_and_can_be_sent_again(
    broker: BrokerProcess, job: Job
) -> None:
    give_up(broker)
    with reading(broker, "workflow", "/queue/DLQ") as manager:
        letter = one(manager)
        handle([letter], PurePosixPath("/facility"))
        letter.ack()
    row = RejectedMessage.objects.get()
    assert row.destination == JOBS
    job.refresh_from_db()
    assert job.phase == Phase.FAILED
    assert job.error == row.reason
    assert row.reason.startswith("The broker gave up: a reader of REDUCTION.DATA_READY refused it")
    assert Run.objects.get().reduction == Phase.FAILED

    dead_letters.replay(row, "ann")
    relayed(broker)
    with reading(broker, "agent", JOBS) as agent:
        again = one(agent)
        assert again.body == bytes(row.body)
        assert again.destination == JOBS
        again.ack()
