"""The listener as a whole, with a broker inside this process and a real database."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from dasmon_listener import daemon
from dasmon_listener.config import ListenerConfig
from dasmon_listener.models import Latest
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import OutgoingMessage

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG = ListenerConfig(
    brokers=(),
    user="",
    password="",
    facilities=("SNS",),
    topics=(),
    adara_instrument="",
    largest_backlog=1_000,
    new_instruments=50,
)


@contextmanager
def listening(broker: MemoryBroker, config: ListenerConfig = CONFIG) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        daemon.run(broker.subscriber(), broker.publisher(), config, stop)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def until(is_so: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        pause.wait(0.02)


def send(broker: MemoryBroker, topic: str, body: object) -> None:
    message = OutgoingMessage(topic, json.dumps(body).encode(), persistent=False)
    broker.publisher().publish([message])


def samples(name: str) -> list[tuple[float | None, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT value, text FROM dasmon_sample s JOIN dasmon_series ON id = series_id "
            "WHERE name = %s ORDER BY at, s.received_at",
            [name],
        )
        return list(cursor.fetchall())


def test_a_value_of_dasmon_is_kept_and_shown() -> None:
    broker = MemoryBroker()
    with listening(broker):
        until(lambda: samples("system_dasmon_listener_pid"))
        body = {"timestamp": str(time.time()), "count_rate": "90210.4", "run_title": "Cold"}
        send(broker, "/topic/SNS.ARCS.APP.DASMON", body)
        until(lambda: samples("count_rate"))
    assert samples("count_rate") == [(90210.4, None)]
    assert samples("run_title") == [(None, "Cold")]
    latest = Latest.objects.get(series__name="count_rate", series__instrument__name="arcs")
    assert (latest.value, latest.text) == (90210.4, None)
