"""The listener as a whole, with a broker inside this process and a real database."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from dasmon_listener import daemon
from dasmon_listener.config import ListenerConfig
from dasmon_listener.domain.series import Kind
from dasmon_listener.housekeeping import Telling
from dasmon_listener.intake import Intake, Missing
from dasmon_listener.models import Gap, Latest, ListenerProcess, Series
from dasmon_listener.tally import Tally
from dasmon_listener.turn import Turn
from workflow_manager.broker.memory import MemoryBroker
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.models import Instrument

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
def listening(broker: MemoryBroker, name: str = "first") -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        daemon.run(broker.subscriber(), broker.publisher(), CONFIG, stop, name)
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


def database() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: parameters[name] for name in wanted})


def own_session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


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


def test_nobody_is_told_more_than_four_times_a_second() -> None:
    broker = MemoryBroker()
    with listening(broker), psycopg.connect(database()) as watching:
        until(lambda: samples("system_dasmon_listener_pid"))
        watching.autocommit = True
        watching.execute("LISTEN webmon")
        began = time.monotonic()
        for number in range(200):
            send(broker, "/topic/SNS.ARCS.APP.DASMON", {"x": number})
        until(lambda: samples("x")[199:])
        lasted = time.monotonic() - began
        keys = [each.payload for each in watching.notifies(timeout=0.5)]
    assert 1 <= keys.count("values arcs") <= 4 * lasted + 2


def test_nothing_is_lost_or_stored_twice_when_the_database_ends_our_sessions() -> None:
    broker = MemoryBroker()
    with listening(broker), psycopg.connect(database(), autocommit=True) as other:
        until(lambda: samples("system_dasmon_listener_pid"))
        for number in range(300):
            send(broker, "/topic/SNS.ARCS.APP.DASMON", {"x": number})
            if number % 100 == 50:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND query ~ 'dasmon' "
                    "AND pid <> pg_backend_pid() AND pid <> %s",
                    [own_session()],
                )
        until(lambda: len(samples("x")) >= 300)
    assert sorted(value for value, _ in samples("x") if value is not None) == list(range(300))


def test_of_two_listeners_one_writes_and_the_other_takes_over() -> None:
    broker = MemoryBroker()
    with ExitStack() as second:
        with listening(broker):
            until(lambda: samples("system_dasmon_listener_pid"))
            second.enter_context(listening(broker, "second"))
            for number in range(50):
                send(broker, "/topic/SNS.ARCS.APP.DASMON", {"x": number})
            until(lambda: len(samples("x")) >= 50)
        until(lambda: len(samples("system_dasmon_listener_pid")) == 2)
        until(lambda: Gap.objects.filter(reason=daemon.NOBODY_LISTENED).exists())
        send(broker, "/topic/SNS.ARCS.APP.DASMON", {"y": 1})
        until(lambda: samples("y"))
    assert (len(samples("x")), len(samples("y"))) == (50, 1)


def test_what_is_told_last_is_what_was_seen_last() -> None:
    """Or a listener that is killed in its first second leaves no gap behind."""
    tally, is_looking, go_on = Tally(), threading.Event(), threading.Event()

    def is_connected() -> bool:
        if not tally.is_active:
            is_looking.set()
            go_on.wait(20)
        return True

    telling = Telling("first", tally, Intake(1_000), is_connected)
    threads = [threading.Thread(target=_told, args=[telling]) for _ in range(2)]
    threads[0].start()
    assert is_looking.wait(20)
    tally.is_active = True
    threads[1].start()
    threads[1].join(timeout=0.5)  # it would be done by then if it did not wait
    go_on.set()
    for thread in threads:
        thread.join()
    assert ListenerProcess.objects.get().is_active


def _told(telling: Telling) -> None:
    telling.tell()
    connection.close()


def test_a_session_that_was_lost_gives_up_its_turn() -> None:
    """The server may hold a lock for a client that it cannot reach any more."""
    turn = Turn()
    assert turn.is_ours()
    assert turn.is_ours()
    lost, connection.connection = connection.connection, None
    assert turn.is_ours()
    with pytest.raises(psycopg.OperationalError):
        lost.execute("SELECT 1")
    with psycopg.connect(database()) as other:
        (is_free,) = other.execute(
            "SELECT pg_try_advisory_lock(hashtext('dasmon listener'))"
        ).fetchone() or (True,)
    connection.close()
    assert not is_free


def test_pages_are_told_of_pvs_that_came_through_the_functions() -> None:
    broker = MemoryBroker()
    instrument = Instrument.objects.create(name="cncs")
    series = Series.objects.create(instrument=instrument, name="temp", kind=Kind.PV)
    with listening(broker), psycopg.connect(database(), autocommit=True) as watching:
        until(lambda: samples("system_dasmon_listener_pid"))
        watching.execute("LISTEN webmon")
        Latest.objects.create(series=series, at=Now(), received_at=Now(), value=1)
        with closing(watching.notifies(timeout=20)) as notices:
            assert any(each.payload == "values cncs" for each in notices)


def test_a_listener_that_cannot_write_does_not_say_that_it_hears() -> None:
    """Components would be called silent whose signs of life wait to be written."""
    listener, stop = daemon.Listener(MemoryBroker().subscriber(), CONFIG), threading.Event()

    def write() -> None:
        listener.wait_for_turn(stop, lambda: None)
        listener.write(stop)
        connection.close()

    parts = [threading.Thread(target=write)]
    parts.append(threading.Thread(target=listener.receive, args=(stop,)))
    for part in parts:
        part.start()
    try:
        until(lambda: listener.hears(1.0))
        with psycopg.connect(database()) as other:
            other.execute("LOCK TABLE dasmon_gap IN ACCESS EXCLUSIVE MODE")
            listener.intake.put_gap(Missing(None, 1.0, 2.0, None, "as a thing to write"))
            until(lambda: not listener.hears(1.0))
        until(lambda: listener.hears(1.0))
    finally:
        stop.set()
        for part in parts:
            part.join()
