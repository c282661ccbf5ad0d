"""What every broker has to do for us, and ours, ActiveMQ Classic and Artemis really do."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from tests.integration.broker.houses import HEARTBEAT_MS, House, StompHouse
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import (
    BrokerUnavailableError,
    Delivery,
    LoginRefusedError,
    OutgoingMessage,
    Publisher,
    Subscriber,
    Subscription,
)
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber

PATIENCE = 15.0
QUIET = 0.4  # seconds in which nothing more may come
Name = Callable[[], str]


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@contextmanager
def consuming(house: House, *wishes: Subscription) -> Iterator[Consumer]:
    consumer = Consumer(house.subscriber(), wishes, 10_000)
    with consumer:
        assert until(lambda: consumer.is_connected)
        yield consumer


@contextmanager
def publishing(house: House) -> Iterator[Publisher]:
    publisher = house.publisher()
    yield publisher
    publisher.close()


def receive(consumer: Consumer, number: int, patience: float = PATIENCE) -> list[Delivery]:
    """`number` deliveries, and make sure of no more."""
    received: list[Delivery] = []
    deadline = time.monotonic() + patience
    while len(received) < number and time.monotonic() < deadline:
        received += consumer.take(number - len(received), 0.2)
    return received


def queued(bodies: Iterable[bytes], queue: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"/queue/{queue}", body) for body in bodies]


@pytest.mark.parametrize("body", [b"{}", b"", b"\x00\xff\n\x00", "Å µ".encode(), b"x" * 900_000])
def test_a_body_arrives_byte_for_byte(house: House, name: Name, body: bytes) -> None:
    queue = name()
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish(queued([body], queue))
        (delivery,) = receive(consumer, 1)
        assert delivery.body == body
        delivery.ack()


def test_headers_arrive(house: House, name: Name) -> None:
    queue = name()
    headers = {"correlation-id": "run 5", "odd": "a:b\\c\nd"}
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish([OutgoingMessage(f"/queue/{queue}", b"1", headers)])
        (delivery,) = receive(consumer, 1)
        assert {key: delivery.headers[key] for key in headers} == headers
        assert delivery.headers["persistent"] == "true"
        assert delivery.destination.removeprefix("/queue/") == queue
        assert 0 < len(delivery.message_id) <= 100
        delivery.ack()


def test_order_is_kept_and_a_non_persistent_message_passes_too(house: House, name: Name) -> None:
    queue = name()
    bodies = [str(number).encode() for number in range(500)]
    wide = Subscription(queue, prefetch=1000)
    with publishing(house) as publisher, consuming(house, wide) as consumer:
        publisher.publish(queued(bodies[:-1], queue))
        publisher.publish([OutgoingMessage(f"/queue/{queue}", bodies[-1], persistent=False)])
        deliveries = receive(consumer, 500)
        assert [each.body for each in deliveries] == bodies
        consumer.ack_all(deliveries)


def test_readers_take_turns(house: House, name: Name) -> None:
    queue = name()
    one = Subscription(queue, prefetch=1)
    with (
        publishing(house) as publisher,
        consuming(house, one) as first,
        consuming(house, one) as second,
    ):
        publisher.publish(queued([b"1", b"2", b"3", b"4"], queue))
        for _ in range(2):
            (mine,) = receive(first, 1)
            (yours,) = receive(second, 1)
            assert first.take(1, QUIET) == [], "more than one at a time"
            mine.ack()
            yours.ack()


def test_what_is_acknowledged_is_gone(house: House, name: Name) -> None:
    queue = name()
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish(queued([b"1", b"2", b"3"], queue))
        for delivery in receive(consumer, 3):
            delivery.ack()
    with consuming(house, Subscription(queue)) as consumer:
        assert consumer.take(1, QUIET) == []


def test_what_is_not_acknowledged_comes_again_in_order(house: House, name: Name) -> None:
    queue = name()
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish(queued([b"1", b"2", b"3"], queue))
        deliveries = receive(consumer, 3)
        deliveries[1].ack()
    assert deliveries[0].is_stale
    deliveries[0].ack()  # too late: does nothing, raises nothing
    deliveries[2].nack()
    with consuming(house, Subscription(queue)) as consumer:
        again = receive(consumer, 2)
        assert [each.body for each in again] == [b"1", b"3"]
        assert again[0].headers["redelivered"] == "true"
        consumer.ack_all(again)


def test_a_refused_message_is_not_lost(house: House, name: Name) -> None:
    """Classic parks it in DLQ at once; ours and Artemis deliver it again."""
    queue = name()
    source = "DLQ" if house.name == "activemq" else queue
    with (
        publishing(house) as publisher,
        consuming(house, Subscription(queue)) as consumer,
    ):
        publisher.publish(queued([b"poison"], queue))
        (delivery,) = receive(consumer, 1)
        delivery.nack()
        with (
            consuming(house, Subscription(source)) if source == "DLQ" else noop(consumer) as second
        ):
            (again,) = receive(second, 1)
            assert again.body == b"poison"
            again.ack()


@contextmanager
def noop(consumer: Consumer) -> Iterator[Consumer]:
    yield consumer


def test_a_topic_reaches_every_reader(house: House, name: Name) -> None:
    topic = f"/topic/{name()}"
    with (
        publishing(house) as publisher,
        consuming(house, Subscription(topic)) as first,
        consuming(house, Subscription(topic)) as second,
    ):
        publisher.publish([OutgoingMessage(topic, b"beam on", persistent=False)])
        assert [each.body for each in receive(first, 1) + receive(second, 1)] == [b"beam on"] * 2


def test_wildcards_of_topics(house: House, name: Name) -> None:
    """One word is `*` everywhere; any number of them has another sign on Artemis."""
    root = name()
    many = "#" if house.name == "artemis" else ">"
    star, rest = Subscription(f"/topic/{root}.*.APP"), Subscription(f"/topic/{root}.{many}")
    with (
        publishing(house) as publisher,
        consuming(house, star) as one,
        consuming(house, rest) as all_of_it,
    ):
        for end in ("ARCS.APP", "ARCS.STATUS", "A.B.APP"):
            message = OutgoingMessage(f"/topic/{root}.{end}", end.encode(), persistent=False)
            publisher.publish([message])
        assert [each.body for each in receive(all_of_it, 3)] == [
            b"ARCS.APP",
            b"ARCS.STATUS",
            b"A.B.APP",
        ]
        assert [each.body for each in receive(one, 1)] == [b"ARCS.APP"]
        assert one.take(1, QUIET) == []


@pytest.mark.parametrize("house", ["memory", "embedded", "activemq"], indirect=True)
def test_wildcards_of_queues_old_and_new(house: House, name: Name) -> None:
    """Classic may hand out what waited already only when the next message wakes the queue.

    Artemis makes a queue of its own for the pattern. We subscribe to queues by their names.
    """
    root = name()
    with publishing(house) as publisher:
        publisher.publish(queued([b"old"], f"{root}.A"))
        with consuming(house, Subscription(f"/queue/{root}.*")) as consumer:
            publisher.publish(queued([b"next"], f"{root}.A"))
            assert [each.body for each in receive(consumer, 2)] == [b"old", b"next"]
            publisher.publish(queued([b"new"], f"{root}.B"))
            assert [each.body for each in receive(consumer, 1)] == [b"new"]


def test_batches_gather_and_stop_promptly(house: House, name: Name) -> None:
    queue = name()
    stop = threading.Event()
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish(queued([b"x"] * 25, queue))
        sizes = []
        for batch in consumer.batches(10, 0.3, stop):
            sizes.append(len(batch))
            consumer.ack_all(batch)
            if sum(sizes) == 25:
                stop.set()
        assert sum(sizes) == 25
        assert max(sizes) == 10
        idle, since = threading.Event(), time.monotonic()
        threading.Timer(0.2, idle.set).start()
        assert list(consumer.batches(10, 5.0, idle)) == []
        assert time.monotonic() - since < 1.0
        since = time.monotonic()
    assert time.monotonic() - since < 2.5


def test_a_wrong_password_is_refused_with_the_brokers_words(
    stomp_house: StompHouse, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LoginRefusedError, match=r"(?i)refused: .*invalid|not valid"):
        StompPublisher(stomp_house.stranger()).publish(queued([b""], "X"))
    subscriber = StompSubscriber(stomp_house.stranger())
    subscriber.start([Subscription("X")], lambda _: None)
    assert until(lambda: "refused" in caplog.text)
    assert not subscriber.is_connected
    subscriber.close()


def test_the_next_broker_of_the_list_is_taken(stomp_house: StompHouse, name: Name) -> None:
    queue = name()
    both = (("127.0.0.1", 1), *stomp_house.config.brokers)
    house = StompHouse(stomp_house.name, stomp_house.process)
    house.config = type(house.config)(both, house.config.user, house.config.password, HEARTBEAT_MS)
    with publishing(house) as publisher, consuming(house, Subscription(queue)) as consumer:
        publisher.publish(queued([b"1"], queue))
        receive(consumer, 1)[0].ack()


def test_nobody_there_is_said_soon() -> None:
    from workflow_manager.broker.config import BrokerConfig

    publisher = StompPublisher(BrokerConfig((("127.0.0.1", 1),), "u", "p"))
    since = time.monotonic()
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
        publisher.publish([OutgoingMessage("/topic/X", b"", persistent=False)])
    assert time.monotonic() - since < 5


def test_confirmed_messages_survive_the_end_of_the_broker(
    stomp_house: StompHouse, name: Name
) -> None:
    """Java brokers by kill -9; ours, which has no journal, by a clean stop."""
    queue = name()
    process = stomp_house.process
    bodies = [str(number).encode() for number in range(20)]
    with (
        publishing(stomp_house) as publisher,
        consuming(stomp_house, Subscription(queue)) as consumer,
    ):
        publisher.publish(queued(bodies[:10], queue))
        before = receive(consumer, 10)
        consumer.ack_all(before[:5])
        publisher.publish(queued([b"acks are in order before this"], name()))
        time.sleep(0.2)  # acknowledgements have no receipt
        process.stop() if stomp_house.name == "embedded" else process.kill()
        assert until(lambda: not consumer.is_connected)
        assert all(each.is_stale for each in before)
        with pytest.raises(BrokerUnavailableError):
            publisher.publish(queued([b"nobody hears this"], queue))
        process.start()
        assert until(lambda: consumer.is_connected), "did not come back"
        publisher.publish(queued(bodies[10:], queue))
        after = receive(consumer, 15)
        assert [each.body for each in after] == bodies[5:]
        consumer.ack_all(after)


def test_a_frozen_broker_is_noticed_by_its_silence(stomp_house: StompHouse, name: Name) -> None:
    """F11: a connection over which nothing comes any more, and nothing says so."""
    queue = name()
    with (
        publishing(stomp_house) as publisher,
        consuming(stomp_house, Subscription(queue)) as consumer,
    ):
        publisher.publish(queued([b"before"], queue))
        receive(consumer, 1)[0].ack()
        time.sleep(2 * HEARTBEAT_MS / 1000)  # past the grace of the first beat
        assert consumer.is_connected
        stomp_house.process.suspend()
        since = time.monotonic()
        noticed = until(lambda: not consumer.is_connected)
        duration = time.monotonic() - since
        with pytest.raises(BrokerUnavailableError):
            publisher.publish(queued([b"during"], queue))
        stomp_house.process.resume()
        assert noticed
        assert duration <= 2 * HEARTBEAT_MS / 1000 + 0.2
        assert until(lambda: consumer.is_connected)
        publisher.publish(queued([b"after"], queue))
        bodies = {each.body for each in receive(consumer, 2, patience=3.0)}
        assert b"after" in bodies
        assert bodies <= {b"during", b"after"}, "what was not confirmed may have arrived"


def test_what_is_received_changes_while_it_runs(house: House, name: Name) -> None:
    first, second = name(), name()
    with publishing(house) as publisher, consuming(house, Subscription(first)) as consumer:
        publisher.publish(queued([b"waits"], second))
        consumer.update([Subscription(first), Subscription(second)])
        (delivery,) = receive(consumer, 1)
        assert delivery.body == b"waits"
        delivery.ack()
        publisher.publish(queued([b"first"], first))
        (delivery,) = receive(consumer, 1)
        consumer.ack_all([delivery])
        assert delivery.body == b"first", "the connection is the same, and goes on"


def test_what_is_not_wanted_any_more_stays_in_the_broker(house: House, name: Name) -> None:
    kept, left = name(), name()
    subscriber = house.subscriber()
    consumer = Consumer(subscriber, [Subscription(kept), Subscription(left)], 10_000)
    with publishing(house) as publisher, consumer:
        assert until(lambda: subscriber.subscribed == {kept, left})
        publisher.publish(queued([b"1", b"2", b"3"], left))
        in_hand = receive(consumer, 3)
        consumer.ack_all(in_hand[:1])
        consumer.update([Subscription(kept)])
        assert until(lambda: subscriber.subscribed == {kept})
        assert all(each.is_stale for each in in_hand[1:])
        consumer.ack_all(in_hand[1:])  # too late: does nothing, and does no harm
        in_hand[1].nack()
        publisher.publish(queued([b"4"], left) + queued([b"kept"], kept))
        (delivery,) = receive(consumer, 1)
        assert delivery.body == b"kept"
        delivery.ack()
        assert consumer.take(1, QUIET) == []
        assert consumer.is_connected
    with consuming(house, Subscription(left)) as consumer:
        again = receive(consumer, 3)
        assert sorted(each.body for each in again) == [b"2", b"3", b"4"]
        consumer.ack_all(again)


def test_changes_outlive_a_lost_connection(stomp_house: StompHouse, name: Name) -> None:
    first, second, third = name(), name(), name()
    subscriber = stomp_house.subscriber()
    consumer = Consumer(subscriber, [Subscription(first)], 10_000)
    with publishing(stomp_house) as publisher, consumer:
        assert until(lambda: consumer.is_connected)
        consumer.update([Subscription(first), Subscription(second)])
        assert until(lambda: subscriber.subscribed == {first, second})
        stomp_house.process.stop()
        assert until(lambda: not consumer.is_connected)
        consumer.update([Subscription(second), Subscription(third)])
        stomp_house.process.start()
        assert until(lambda: subscriber.subscribed == {second, third})
        for queue in (first, second, third):
            publisher.publish(queued([queue.encode()], queue))
        deliveries = receive(consumer, 2)
        assert {each.body for each in deliveries} == {second.encode(), third.encode()}
        consumer.ack_all(deliveries)
        assert consumer.take(1, QUIET) == []


def test_the_capacity_grows_with_what_is_wanted(house: House, name: Name) -> None:
    few, many = name(), name()
    narrow = Consumer(house.subscriber(), [Subscription(few, prefetch=5)], capacity=5)
    with publishing(house) as publisher, narrow as consumer:
        consumer.update([Subscription(few, prefetch=5), Subscription(many, prefetch=500)])
        publisher.publish(queued([b"%d" % number for number in range(400)], many))
        deliveries = receive(consumer, 400)
        assert len(deliveries) == 400
        consumer.ack_all(deliveries)


@dataclass(frozen=True)
class Refused:
    """Somebody, what they may read, and what they may not."""

    user: str
    granted: str
    refused: str


# Ours and the one in memory refuse only what is no name.
REFUSALS = {
    "memory": Refused("", "TEST.GRANTED", "/queue/"),
    "embedded": Refused("workflow", "TEST.GRANTED", "/queue/"),
    "activemq": Refused("agent", "REDUCTION.TEST", "/queue/NOT.FOR.AGENTS"),
    "artemis": Refused("operator", "TEST.GRANTED", "/queue/NOT.DECLARED"),
}


@contextmanager
def as_reader(house: House, refused: Refused) -> Iterator[Subscriber]:
    if isinstance(house, StompHouse):
        passwords = getattr(house.process, "passwords", {refused.user: house.process.password})
        config = replace(house.config, user=refused.user, password=passwords[refused.user])
        yield StompSubscriber(config)
    else:
        yield house.subscriber()


def test_a_refused_subscription_does_not_stop_the_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    case = REFUSALS[house.name]
    wishes = [Subscription(case.refused), Subscription(case.granted)]
    with publishing(house) as publisher, as_reader(house, case) as subscriber:
        with Consumer(subscriber, wishes, 10_000) as consumer:
            assert until(lambda: consumer.is_connected)
            assert subscriber.subscribed == {case.granted}
            assert list(subscriber.refused) == [case.refused]
            publisher.publish(queued([b"goes on"], case.granted))
            (delivery,) = receive(consumer, 1)
            assert delivery.body == b"goes on"
            delivery.ack()
        assert case.refused in caplog.text or house.name == "memory"


def test_a_refused_subscription_that_is_added_disturbs_nothing(house: House) -> None:
    """What is in hand stays in hand: the connection is not lost for it."""
    case = REFUSALS[house.name]
    granted = Subscription(case.granted)
    with (
        publishing(house) as publisher,
        as_reader(house, case) as subscriber,
        Consumer(subscriber, [granted], 10_000) as consumer,
    ):
        assert until(lambda: consumer.is_connected)
        publisher.publish(queued([b"in hand"], case.granted))
        (delivery,) = receive(consumer, 1)
        optional = Subscription(case.refused, prefetch=7, is_optional=True)
        consumer.update([granted, Subscription(case.refused), optional])
        assert until(lambda: list(subscriber.refused) == [case.refused])
        assert not delivery.is_stale
        delivery.ack()
        consumer.update([granted])
        assert until(lambda: not subscriber.refused)
        assert consumer.is_connected
        assert subscriber.subscribed == {case.granted}


def test_a_name_at_which_classic_hangs_up_stops_nothing(
    stomp_house: StompHouse, name: Name
) -> None:
    """ActiveMQ says nothing and closes the connection; it must not happen for ever."""
    queue = name()
    subscriber = stomp_house.subscriber()
    wishes = [Subscription("/queue/"), Subscription(queue)]
    with publishing(stomp_house) as publisher, Consumer(subscriber, wishes, 10_000) as consumer:
        assert until(lambda: consumer.is_connected)
        assert list(subscriber.refused) == ["/queue/"]
        publisher.publish(queued([b"1"], queue))
        receive(consumer, 1)[0].ack()


def test_nothing_is_lost_while_a_queue_comes_and_goes(house: House, name: Name) -> None:
    """A message may come twice: what was done and not yet acknowledged goes back."""
    steady, changing = name(), name()
    wishes = [Subscription(steady, prefetch=20), Subscription(changing, prefetch=20)]
    got: set[str] = set()

    def take(consumer: Consumer) -> None:
        deliveries = consumer.take(50, 0.2)
        places = (each.destination.removeprefix("/queue/") for each in deliveries)
        got.update(f"{place} {each.body!r}" for place, each in zip(places, deliveries, strict=True))
        consumer.ack_all(deliveries)

    with publishing(house) as publisher, consuming(house, *wishes) as consumer:
        for number in range(20):
            bodies = [b"%d.%d" % (number, place) for place in range(20)]
            publisher.publish(queued(bodies, changing) + queued(bodies, steady))
            consumer.update(wishes[: number % 2 + 1])
            take(consumer)
        consumer.update(wishes)
        deadline = time.monotonic() + PATIENCE
        while len(got) < 800 and time.monotonic() < deadline:
            take(consumer)
        assert len(got) == 800
