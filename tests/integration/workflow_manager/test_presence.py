"""Signs of life from a broker to the table of agents; pings out and answered; our own row."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from postprocessing import presence as agents_presence
from tests.activemq import ActiveMQ, require
from tests.integration.broker.test_contract import until
from tests.integration.workflow_manager.test_record import Arrival
from workflow_manager import presence, processes
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import Delivery, OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain import destinations as names
from workflow_manager.domain.presence import MOST_AGENTS, Heard, Presence
from workflow_manager.housekeeping import Chore, keep
from workflow_manager.models import Agent, ManagerProcess
from workflow_manager.presence import Listener
from workflow_manager.processes import Tally

pytestmark = pytest.mark.django_db(transaction=True)


class Ear:
    """A listener in memory with the test's clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.broker = MemoryBroker()
        self.presence = Presence()
        self.listener = Listener(self.presence, self.broker.publisher(), lambda: self.now)

    def hear(self, topic: str, *contents: object) -> None:
        bodies = [c if isinstance(c, bytes) else json.dumps(c).encode() for c in contents]
        self.listener.take_in([Arrival(topic, str(n), body) for n, body in enumerate(bodies)])

    def write_down(self) -> None:
        presence.write_down(self.presence, lambda: self.now)


@pytest.fixture
def ear() -> Ear:
    return Ear()


def beat(name: str, **more: object) -> dict[str, object]:
    return {"src_name": name, "role": "postprocessing", "status": "0", "pid": "2201", **more}


def test_heard_agents_are_written_with_the_age_of_their_sign(ear: Ear) -> None:
    ear.hear(names.AGENT_HEARTBEAT, beat("old"), beat("ours", slots="4"))
    ear.hear(names.WORKFLOW_ACK, beat("ours", slots="4", request_time=1.5))
    ear.now += 7
    ear.write_down()
    agents = {each.name: each for each in Agent.objects.all()}
    assert {name: (each.pid, each.slots) for name, each in agents.items()} == {
        "old": ("2201", None),
        "ours": ("2201", 4),
    }
    age = timezone.now() - agents["ours"].seen_at
    assert timedelta(seconds=6.9) < age < timedelta(seconds=12)


def test_one_that_speaks_again_is_not_lost_and_an_old_sign_changes_nothing(ear: Ear) -> None:
    lost_at = timezone.now()
    Agent.objects.create(name="a", seen_at=lost_at - timedelta(hours=1), lost_at=lost_at)
    Agent.objects.create(name="b", seen_at=lost_at + timedelta(hours=1), lost_at=lost_at)
    ear.hear(names.AGENT_HEARTBEAT, beat("a"), beat("b"))
    ear.write_down()
    assert Agent.objects.get(name="a").lost_at is None
    assert Agent.objects.get(name="b").lost_at == lost_at


def test_a_crowd_is_one_statement_and_bounded(ear: Ear, django_assert_num_queries: object) -> None:
    for start in range(0, 3000, 500):
        ear.hear(names.AGENT_HEARTBEAT, *(beat(f"n{n}") for n in range(start, start + 500)))
    with django_assert_num_queries(2):  # type: ignore[operator]
        ear.write_down()
    assert Agent.objects.count() == MOST_AGENTS


def test_hostile_signs_are_counted_and_said_once_a_minute(
    ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [b"\xff", b"[]", b"{" * 9000, {"src_name": "a" * 10_000}, {"src_name": ["x"]}, b""]
    for topic in (names.AGENT_HEARTBEAT, names.WORKFLOW_HEARTBEAT, names.PING, names.WORKFLOW_ACK):
        ear.hear(topic, *bad)
    ear.hear(names.AGENT_HEARTBEAT, beat("good"))
    assert [each.name for each in ear.presence.news()] == ["good"]
    assert len(caplog.records) == 1
    ear.now += 61
    ear.hear(names.AGENT_HEARTBEAT, b"")
    # The first was said at once; of four times six less one, two pings were no question.
    assert len(caplog.records) == 2
    assert caplog.records[1].getMessage().startswith("22 signs of life could not be read")


def test_a_ping_is_answered_and_our_own_is_not(ear: Ear) -> None:
    heard: list[Delivery] = []
    subscriber = ear.broker.subscriber()
    ack = "/topic/SNS.COMMON.STATUS.ACK"
    subscriber.start([Subscription(ack), Subscription(names.WORKFLOW_ACK)], heard.append)
    ping = {"reply_to": ack, "request_time": 1.25}
    ours = {"reply_to": names.WORKFLOW_ACK, "request_time": 1.25}
    ear.hear(names.PING, ping, ours, {"reply_to": "/queue/REDUCTION.DATA_READY"}, {})
    [answer] = heard
    assert answer.destination == ack
    content = json.loads(answer.body)
    assert {key: content[key] for key in ping} == ping
    assert (content["src_name"], content["role"]) == ("workflowmgr", "workflow_manager")
    assert content["status"] == "0"


def test_a_flood_of_pings_is_no_flood_of_answers(ear: Ear) -> None:
    heard: list[Delivery] = []
    ear.broker.subscriber().start([Subscription("/topic/A.ACK", prefetch=1000)], heard.append)
    ear.hear(names.PING, *({"reply_to": "/topic/A.ACK"} for _ in range(500)))
    assert len(heard) == 50


def test_what_could_not_be_written_is_written_later(ear: Ear) -> None:
    ear.hear(names.AGENT_HEARTBEAT, beat("a"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflow_agent RENAME TO away")
    try:
        with pytest.raises(Exception, match="workflow_agent"):
            ear.write_down()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO workflow_agent")
    ear.write_down()
    assert Agent.objects.get().name == "a"


# Our own row


def test_a_manager_tells_of_itself_and_forgets_those_that_ended() -> None:
    tally = Tally()
    stamp = (timezone.now() - timedelta(seconds=3)).timestamp() * 1000
    tally.count([Arrival("Q", "1", b"", {"timestamp": str(int(stamp))})] * 5)
    long_ago = timezone.now() - timedelta(hours=25)
    ManagerProcess.objects.create(name="gone:1", seen_at=long_ago)
    started_at = datetime.now(UTC)
    for _ in range(2):
        processes.tell("here:2", started_at, tally, is_connected=True)
    processes.forget_ended()
    manager = ManagerProcess.objects.get()
    assert (manager.name, manager.handled, manager.is_connected) == ("here:2", 5, True)
    assert manager.lag_seconds is not None
    assert 2.5 < manager.lag_seconds < 10
    assert manager.last_message_at is not None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"timestamp": "soon"}, None),
        ({"timestamp": "1"}, None),
        ({"timestamp": "1e300"}, None),
        ({"timestamp": "1763700000000"}, 5.0),
        ({"timestamp": "1763700010000"}, 0.0),
        ({"timestamp": "1763800000000"}, None),
    ],
)
def test_lag_is_told_only_where_the_stamp_is_sane(
    headers: dict[str, str], expected: float | None
) -> None:
    now = datetime.fromtimestamp(1763700005, UTC)
    assert processes.lag_of(Arrival("Q", "1", b"", headers), now) == expected


# Chores


def test_a_chore_waits_for_its_time_and_what_failed_is_due_at_once() -> None:
    calls: list[float] = []
    chore = Chore(lambda: calls.append(1), period=5)
    assert chore.do_if_due(100) == 105
    assert chore.do_if_due(104.9) == 105
    assert chore.do_if_due(105) == 110
    assert len(calls) == 2


def test_a_database_that_is_away_is_waited_for() -> None:
    stop = threading.Event()
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("the server is gone")
        stop.set()

    keep([Chore(work, period=0)], stop)
    assert len(calls) == 2


def test_what_is_not_foreseen_ends_the_housekeeping() -> None:
    def work() -> None:
        raise KeyError("never foreseen")

    with pytest.raises(KeyError):
        keep([Chore(work, period=0)], threading.Event())


# A real broker


@pytest.fixture(scope="module")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMQ]:
    if reason := require():
        pytest.skip(reason)
    with ActiveMQ(tmp_path_factory.mktemp("presence")) as broker:
        yield broker


@contextmanager
def running(presence_of: Presence, config: BrokerConfig) -> Iterator[None]:
    """A manager's heartbeats, pings and ears."""
    stop = threading.Event()
    with closing(StompPublisher(config)) as beats, closing(StompPublisher(config)) as answers:
        listener = Listener(presence_of, answers)
        threads = [
            threading.Thread(target=listener.listen, args=(StompSubscriber(config), stop)),
            threading.Thread(target=presence.send_heartbeats, args=(beats, stop)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)


def test_agent_and_manager_find_each_other_with_the_rights_of_their_roles(
    activemq: ActiveMQ,
) -> None:
    def config(user: str) -> BrokerConfig:
        return BrokerConfig((activemq.address,), user, activemq.passwords[user], heartbeat_ms=1000)

    manager = Presence()
    pings: list[Delivery] = []
    agent = StompSubscriber(config("agent"))
    agent.start([Subscription(names.PING)], pings.append)
    with closing(agent), closing(StompPublisher(config("agent"))) as says:
        assert until(lambda: agent.is_connected)
        with running(manager, config("workflow")):
            # It hears itself and its pings, or it would miss nobody ever.
            assert until(lambda: manager.is_hearing(time.monotonic()), 30)
            answer = agents_presence.answer(pings[-1].body, "node7", slots=3)
            assert isinstance(answer, OutgoingMessage)
            says.publish([answer])
            heard: list[Heard] = []

            def is_heard() -> bool:
                heard.extend(manager.news())
                return bool(heard)

            assert until(is_heard, 20)
            assert (heard[0].name, heard[0].slots, heard[0].answered) == ("node7", 3, True)
