"""A manager that runs follows the table of queues, whatever the broker says to one of them."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from django.db import connection

from tests import activemq, artemis
from tests.activemq import ActiveMQ
from tests.artemis import Artemis
from tests.integration.broker.houses import StompHouse, running
from workflow_manager import daemon, queues
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import OutgoingMessage, Publisher, Subscriber, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.models import Event, Queue, RejectedMessage
from workflow_manager.processes import Tally
from workflow_manager.subscriptions import Follower, always

pytestmark = pytest.mark.django_db(transaction=True)

SITE = "SITE.MEASURED"
READY = "POSTPROCESS.INFO"


@pytest.fixture(scope="module", params=["embedded", "activemq"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StompHouse]:
    if request.param == "activemq" and (reason := activemq.require()):
        pytest.skip(reason)
    with running(request.param, tmp_path_factory.mktemp(request.param)) as house:
        yield house


def until(condition: Callable[[], Any], patience: float = 20.0) -> bool:
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


@contextmanager
def receiving(subscriber: Subscriber) -> Iterator[None]:
    """A manager's receive thread, as the process runs it."""
    stop = threading.Event()
    work = (subscriber, PurePosixPath("/"), 50, stop)
    thread = threading.Thread(target=daemon.receive, args=work, kwargs={"tally": Tally()})
    thread.start()
    try:
        assert until(lambda: subscriber.is_connected)
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def tell(publisher: Publisher, queue: str, number: int) -> None:
    body = {"instrument": "arcs", "ipts": "IPTS-1", "run_number": number, "facility": "SNS"}
    body["data_file"] = f"/SNS/ARCS/IPTS-1/nexus/ARCS_{number}.nxs.h5"
    publisher.publish([OutgoingMessage(f"/queue/{queue}", json.dumps(body).encode())])


def recorded(queue: str, number: int) -> bool:
    return Event.objects.filter(queue=queue, run__number=number).exists()


def test_a_queue_is_read_as_soon_as_it_is_in_the_table(house: StompHouse) -> None:
    subscriber = house.subscriber()
    with closing(house.publisher()) as publisher, receiving(subscriber):
        tell(publisher, SITE, 1)
        tell(publisher, READY, 2)
        assert until(lambda: recorded(READY, 2))
        assert not recorded(SITE, 1)
        queues.add(SITE)
        assert until(lambda: recorded(SITE, 1))
        queues.remove(SITE)
        assert until(lambda: f"/queue/{SITE}" not in subscriber.subscribed)
        tell(publisher, SITE, 3)
        tell(publisher, READY, 4)
        assert until(lambda: recorded(READY, 4))
        assert not recorded(SITE, 3), "it waits in the broker"
        queues.add(SITE)
        assert until(lambda: recorded(SITE, 3))
    assert Event.objects.filter(run__number=1).count() == 1


def test_a_dead_letter_is_taken_from_the_broker_and_kept(house: StompHouse) -> None:
    with closing(house.publisher()) as publisher, receiving(house.subscriber()):
        tell(publisher, "DLQ", 1)
        assert until(RejectedMessage.objects.exists)
    assert not Event.objects.exists()


def test_a_row_that_names_no_queue_does_no_harm(house: StompHouse) -> None:
    queues.report_refused({"/queue/OF.YESTERDAY": "gone"})
    with closing(house.publisher()) as publisher, receiving(house.subscriber()):
        Queue.objects.create(name="")
        queues.add(SITE)
        tell(publisher, SITE, 1)
        assert until(lambda: recorded(SITE, 1))
        assert until(lambda: list(queues.refused()) == [""])


@pytest.mark.parametrize("house", ["activemq"], indirect=True)
def test_a_queue_that_the_broker_refuses_does_no_harm(house: StompHouse) -> None:
    """Somebody with few rights, who reads what an agent may read."""
    assert isinstance(house.process, ActiveMQ)
    config = replace(house.config, user="agent", password=house.process.passwords["agent"])
    refused, granted = "SITE.NOT.FOR.AGENTS", "REDUCTION.SITE"
    with closing(StompPublisher(config)) as publisher, receiving(StompSubscriber(config)):
        queues.add(refused)
        queues.add(granted)
        assert until(lambda: f"/queue/{refused}" in queues.refused())
        assert "not authorized" in queues.refused()[f"/queue/{refused}"]
        tell(publisher, granted, 1)
        assert until(lambda: recorded(granted, 1))
        assert "/queue/DLQ" not in queues.refused(), "dead letters are optional"
        queues.remove(refused)
        assert until(lambda: f"/queue/{refused}" not in queues.refused())


def test_while_the_database_is_away_the_list_stays() -> None:
    """The connections of the follower and of the recorder are cut; both come back."""
    broker = MemoryBroker()
    subscriber = broker.subscriber()
    queues.add(SITE)
    with receiving(subscriber):
        assert until(lambda: f"/queue/{SITE}" in subscriber.subscribed)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert f"/queue/{SITE}" in subscriber.subscribed
        tell(broker.publisher(), SITE, 1)
        assert until(lambda: recorded(SITE, 1))
        queues.add("SITE.OTHER")
        assert until(lambda: "/queue/SITE.OTHER" in subscriber.subscribed)


class Noted:
    """A reader that remembers what it was told to read."""

    refused: Mapping[str, str] = MappingProxyType({})

    def __init__(self) -> None:
        self.wanted: set[str] = set()

    def update(self, subscriptions: Sequence[Subscription]) -> None:
        self.wanted = {each.destination for each in subscriptions}


def test_a_row_without_a_notice_is_found() -> None:
    reader, stop = Noted(), threading.Event()
    follower = Follower(reader, 50, ("SNS",), look_again=0.5)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        assert until(lambda: reader.wanted)
        Queue.objects.create(name=SITE)
        assert until(lambda: f"/queue/{SITE}" in reader.wanted)
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artemis]:
    if reason := artemis.require():
        pytest.skip(reason)
    with Artemis(tmp_path_factory.mktemp("deployed"), as_deployed=True) as broker:
        yield broker


def test_the_deployed_broker_grants_what_the_manager_wants(deployed: Artemis) -> None:
    """All but a dead-letter queue that only Classic has, and a site's queue nobody declared."""

    def config(user: str) -> BrokerConfig:
        return BrokerConfig((deployed.address,), user, deployed.passwords[user], 2000)

    subscriber = StompSubscriber(config("workflow"))
    queues.add(SITE)
    with closing(StompPublisher(config("instruments"))) as publisher, receiving(subscriber):
        assert until(lambda: list(queues.refused()) == [f"/queue/{SITE}"])
        assert "does not exist" in queues.refused()[f"/queue/{SITE}"]
        wanted = {each.destination for each in always(50, ("SNS", "HFIR"))}
        assert wanted - subscriber.subscribed == {"/queue/ActiveMQ.DLQ"}
        tell(publisher, "POSTPROCESS.DATA_READY", 1)
        assert until(lambda: recorded("POSTPROCESS.DATA_READY", 1))
