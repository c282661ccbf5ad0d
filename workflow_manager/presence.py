"""Hears who lives and tells that we do: heartbeats, pings and their answers.

Signs are telemetry: what cannot be read is counted, logged once a minute and forgotten.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from django.db import connection

from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import (
    BrokerError,
    Delivery,
    OutgoingMessage,
    Publisher,
    Subscriber,
    Subscription,
)
from workflow_manager.domain import destinations as names
from workflow_manager.domain.destinations import bare_name
from workflow_manager.domain.presence import Heard, Presence
from workflow_manager.protocol import signs
from workflow_manager.protocol.codec import encode
from workflow_manager.protocol.signs import NoSignError
from workflow_manager.sql import PRESENCE

log = logging.getLogger(__name__)

HEARTBEAT_PERIOD = 5.0  # seconds
_PING_EVERY = 2  # heartbeats
_TOPICS = (names.AGENT_HEARTBEAT, names.WORKFLOW_HEARTBEAT, names.PING, names.WORKFLOW_ACK)
_PREFETCH = 200
_BATCH = 500
_MOST_ANSWERS = 50  # of one batch: a flood of pings shall not become a flood of answers
_COMPLAIN_PERIOD = 60.0  # seconds

Clock = Callable[[], float]


def heartbeat_card() -> dict[str, str]:
    return {"src_name": "workflowmgr", "status": "0", "pid": str(os.getpid())}


def send_heartbeats(publisher: Publisher, stop: threading.Event) -> None:
    """Tell every five seconds that the workflow manager lives, and ask every ten who else does."""
    heartbeat = OutgoingMessage(
        names.WORKFLOW_HEARTBEAT, encode(heartbeat_card()), persistent=False
    )
    number = 0
    while not stop.is_set():
        messages = [heartbeat]
        if number % _PING_EVERY == 0:
            messages.append(OutgoingMessage(names.PING, signs.ping(time.time()), persistent=False))
        try:
            publisher.publish(messages)
        except BrokerError as error:
            log.warning("No heartbeat was sent: %s", error)
        number += 1
        stop.wait(HEARTBEAT_PERIOD)


class Listener:
    """Takes in signs of life, and answers those who ask for ours."""

    def __init__(
        self, presence: Presence, publisher: Publisher, clock: Clock = time.monotonic
    ) -> None:
        self._presence = presence
        self._publisher = publisher
        self._clock = clock
        self._unread = 0
        self._complain_at = float("-inf")

    def listen(self, subscriber: Subscriber, stop: threading.Event) -> None:
        """Hear until `stop` is set; a broker that is away is waited for."""
        wanted = [Subscription(topic, prefetch=_PREFETCH) for topic in _TOPICS]
        with Consumer(subscriber, wanted, capacity=_PREFETCH * len(wanted)) as consumer:
            for deliveries in consumer.batches(size=_BATCH, wait=0.0, until=stop):
                self.take_in(deliveries)
                consumer.ack_all(deliveries)

    def take_in(self, deliveries: Sequence[Delivery]) -> None:
        """What was heard, at the time when it is heard: clocks of others are not asked."""
        answers: list[OutgoingMessage] = []
        for delivery in deliveries:
            try:
                self._take_in_one(delivery, answers)
            except NoSignError as problem:
                self._complain(delivery, problem)
        if answers:
            self._send(answers[:_MOST_ANSWERS])

    def _take_in_one(self, delivery: Delivery, answers: list[OutgoingMessage]) -> None:
        topic = bare_name(delivery.destination)
        if topic == bare_name(names.WORKFLOW_HEARTBEAT):
            self._hear_heartbeat(delivery)
        elif topic == bare_name(names.PING):
            self._hear_ping(delivery, answers)
        else:
            sign = signs.read_sign(delivery.body)
            is_answer = topic == bare_name(names.WORKFLOW_ACK)
            at = self._clock()
            self._presence.hear(sign.name, sign.pid, sign.slots, at, is_answer=is_answer)

    def _hear_heartbeat(self, delivery: Delivery) -> None:
        """Any manager's counts: what reached us shows that we hear."""
        signs.read_sign(delivery.body)
        self._presence.hear_ourselves(self._clock())

    def _hear_ping(self, delivery: Delivery, answers: list[OutgoingMessage]) -> None:
        if signs.is_ours(delivery.body):
            self._presence.hear_ping(self._clock())
            return
        card = {**heartbeat_card(), "role": "workflow_manager"}
        answer = signs.answer(delivery.body, card)
        if answer is not None:
            answers.append(OutgoingMessage(answer[0], answer[1], persistent=False))

    def _send(self, answers: Sequence[OutgoingMessage]) -> None:
        try:
            self._publisher.publish(answers)
        except BrokerError as error:
            log.warning("%d pings were not answered: %s", len(answers), error)

    def _complain(self, delivery: Delivery, problem: NoSignError) -> None:
        self._unread += 1
        if self._clock() < self._complain_at:
            return
        self._complain_at = self._clock() + _COMPLAIN_PERIOD
        log.warning(
            "%d signs of life could not be read; the last, on %.200s: %s",
            *(self._unread, delivery.destination, problem),
        )
        self._unread = 0


def write_down(presence: Presence, clock: Clock = time.monotonic) -> None:
    """Write who was heard since the last time; and expect signs of those who have jobs.

    Raises:
        django.db.Error: it is written the next time.
    """
    heard = presence.news()
    try:
        with connection.cursor() as cursor:
            if heard:
                cursor.execute(PRESENCE["heard"], _columns(heard, clock()))
            cursor.execute(PRESENCE["at_work"])
            presence.expect(cursor.fetchall(), clock())
    except Exception:
        presence.tell_again(heard)
        raise


def _columns(heard: Sequence[Heard], now: float) -> dict[str, list[object]]:
    return {
        "names": [each.name for each in heard],
        "pids": [each.pid for each in heard],
        "slots": [each.slots for each in heard],
        "ages": [now - each.at for each in heard],
    }
