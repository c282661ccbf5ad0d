"""What a batch leaves in the database, and what becomes of one that it refuses."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from dasmon_listener import handlers, services
from dasmon_listener.intake import Intake, Missing
from dasmon_listener.models import Alarm, Component, Gap, Latest, Series, UnreadMessage
from dasmon_listener.series import Register
from dasmon_listener.tally import Tally
from workflow_manager.models import Instrument

pytestmark = pytest.mark.django_db

DASMON = "/topic/SNS.ARCS.APP.DASMON"
ODD = 'tab\there, {NULL} \\N\nand "quoted\\"'


@dataclass
class Came:
    """A delivery that is acknowledged by hand."""

    destination: str
    body: bytes
    message_id: str = "1"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_stale: bool = False

    def ack(self) -> None:
        """Nobody waits for it."""

    def nack(self) -> None:
        """Nobody waits for it."""


def came(destination: str, body: Any) -> Came:
    return Came(destination, body if isinstance(body, bytes) else json.dumps(body).encode())


class Bench:
    """Takes in and writes, as the listener does."""

    def __init__(self, **limits: Any) -> None:
        self.intake = Intake(1_000_000)
        self.tally = Tally()
        self.now = 0.0
        self.settled: list[Any] = []
        self.register = Register(clock=lambda: self.now, **limits)
        self.writer = handlers.Writer(self.intake, self.tally, self.register, self.settled.extend)

    def __call__(self, *deliveries: Came) -> list[Any]:
        """Return what may be acknowledged before it is written."""
        settled = handlers.take_in(deliveries, self.intake, self.tally)
        self.now += 10
        self.writer.fill()
        self.writer.flush()
        return settled


@pytest.fixture
def write() -> Bench:
    return Bench()


Row = tuple[datetime, float | None, str | None, int | None]


def samples(name: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT at, value, text, status FROM dasmon_sample "
            "JOIN dasmon_series ON id = series_id WHERE name = %s ORDER BY at",
            [name],
        )
        return list(cursor.fetchall())


def latest(name: str, instrument: str = "arcs") -> Latest:
    return Latest.objects.get(series__name=name, series__instrument__name=instrument)


def ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(time.time()) - seconds, UTC)


def test_values_are_kept_with_the_senders_time(write: Bench) -> None:
    at = ago(300)
    body = {
        "timestamp": str(at.timestamp()),
        "count_rate": "90210.4",
        "recording": True,
        "total_charge": "3.03988e+10",
        "path\\to": ODD,
        "monitors": {"1": 7},
    }
    delivery = came(DASMON, body)
    assert write(delivery) == [delivery]
    assert samples("count_rate") == [(at, 90210.4, None, None)]
    assert samples("recording") == [(at, None, "True", None)]
    assert samples("total_charge") == [(at, 3.03988e10, "3.03988e+10", None)]
    assert samples("path\\to") == [(at, None, ODD, None)]
    assert latest("path\\to").text == ODD
    assert samples("monitor_count_1") == [(at, 7.0, None, None)]
    newest = latest("total_charge")
    assert (newest.at, newest.value, newest.text) == (at, 3.03988e10, "3.03988e+10")
    assert ago(60) < newest.received_at


def test_a_time_that_cannot_be_is_replaced_by_ours(write: Bench) -> None:
    write(came(DASMON, {"timestamp": time.time() + 3600, "ahead": 1}))
    write(came(DASMON, {"timestamp": time.time() + 20, "slightly": 1}))
    write(came(DASMON, {"untold": 1}))
    assert abs((samples("ahead")[0][0] - ago(0)).total_seconds()) < 15
    assert samples("slightly")[0][0] > ago(-10)
    assert abs((samples("untold")[0][0] - ago(0)).total_seconds()) < 15


def test_a_late_value_is_history_and_not_the_newest(write: Bench) -> None:
    write(
        came(DASMON, {"timestamp": ago(10).timestamp(), "x": 2}),
        came(DASMON, {"timestamp": ago(500).timestamp(), "x": 1}),
    )
    write(came(DASMON, {"timestamp": ago(400).timestamp(), "x": 3}))
    assert [value for _, value, _, _ in samples("x")] == [1, 3, 2]
    assert latest("x").value == 2
    Latest.objects.update(received_at=ago(90))
    write(came(DASMON, {"timestamp": ago(300).timestamp(), "x": 4}))
    assert latest("x").value == 4


def test_numbers_that_are_none_are_kept_as_they_are(write: Bench) -> None:
    write(came(DASMON, b'{"a": NaN, "b": "-inf", "c": 1e400, "d": 1e-400}'))
    found = [latest(name) for name in "abcd"]
    assert [str(each.value) for each in found] == ["nan", "-inf", "inf", "0.0"]
    assert [each.text for each in found] == [None, "-inf", "1e400", "1e-400"]


def test_pvs_in_bulk_have_a_status_and_times_of_their_own(write: Bench) -> None:
    at = ago(20)
    readings = [
        {"name": "temp", "value": 300.25, "status": 0, "timestamp": at.timestamp()},
        {"name": "temp", "value": None, "status": 3, "timestamp": at.timestamp() + 1},
        {"name": "state", "value": "opened"},
    ]
    write(came("/topic/SNS.ARCS.APP.PV", {"values": readings}))
    assert samples("temp") == [(at, 300.25, None, 0), (at + timedelta(seconds=1), None, None, 3)]
    assert (latest("temp").value, latest("temp").status) == (None, 3)
    assert latest("state").text == "opened"
    assert {each.kind for each in Series.objects.all()} == {0}


def test_signs_of_life_have_no_history(write: Bench) -> None:
    beat = came("/topic/SNS.ARCS.STATUS.DASMON", {"src_id": "DASMON_0", "status": "0"})
    agent = came(
        "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0",
        {"src_name": "Node4.sns.gov", "status": "0", "pid": 12},
    )
    assert write(beat, agent) == []
    assert write.settled == [beat, agent]
    assert latest("system_dasmon").value == 0
    assert latest("system_node4.sns.gov_pid", "common").value == 12
    assert samples("system_dasmon") == []
    components = {each.name: each for each in Component.objects.all()}
    assert components["dasmon"].period == timedelta(seconds=5)
    assert components["node4.sns.gov"].period == timedelta(seconds=30)
    assert components["node4.sns.gov"].pid == "12"


def test_an_answer_is_a_sign_of_life_with_a_delay(write: Bench) -> None:
    asked_at = time.time() - 2
    answer = {"src_name": "node4", "pid": 12, "status": "0", "request_time": asked_at}
    write(came("/topic/SNS.COMMON.STATUS.ACK", answer))
    component = Component.objects.get(instrument__name="common", name="node4")
    assert component.answered_at == component.heard_at
    assert component.answer_delay is not None
    assert timedelta(seconds=2) <= component.answer_delay < timedelta(seconds=30)


def test_what_became_of_a_script_has_a_history_and_is_no_component(write: Bench) -> None:
    words = "Created ARCS reduction script"
    said = {"src_id": "postprocessing", "status": words}
    write(came("/topic/SNS.ARCS.STATUS.POSTPROCESS", said))
    assert [text for _, _, text, _ in samples("system_postprocessing")] == [words]
    assert latest("system_postprocessing").text == words
    assert not Component.objects.exists()


def test_a_signal_is_an_alarm(write: Bench) -> None:
    write(came("/topic/SNS.NEW.SIGNAL.DASMON", {"sig_name": "HOT", "sig_level": 4}))
    alarm = Alarm.objects.get(instrument__name="new")
    assert (alarm.name, alarm.level, alarm.over_at) == ("HOT", 4, None)
    write(came("/topic/SNS.NEW.SIGNAL.DASMON", {"sig_name": "HOT"}))
    alarm.refresh_from_db()
    assert alarm.over_at is not None


def test_what_nobody_wants_is_not_kept_and_needs_no_restart(write: Bench) -> None:
    write(came(DASMON, {"src_id": "DASMON_0", "x": 1}))
    Series.objects.filter(name="src_id").update(is_recorded=False)
    write(came(DASMON, {"src_id": "DASMON_0", "x": 2}))
    assert (len(samples("src_id")), len(samples("x"))) == (1, 2)
    Series.objects.filter(name="src_id").update(is_recorded=True)
    write(came(DASMON, {"src_id": "DASMON_0", "x": 3}))
    assert len(samples("src_id")) == 2


def test_strangers_cannot_make_instruments_without_end(write: Bench) -> None:
    write = Bench(most_new_instruments=3)
    names = [f"I{number}" for number in range(5)]
    write(*[came(f"/topic/SNS.{name}.APP.DASMON", {"x": 1}) for name in names])
    assert Instrument.objects.count() == 3
    assert "x" in set(Series.objects.values_list("name", flat=True))
    unread = UnreadMessage.objects.get(destination="/topic/SNS.I4.APP.DASMON")
    assert unread.reason.startswith("Too many new instruments")
    Instrument.objects.create(name="i4")
    write(came("/topic/SNS.I4.APP.DASMON", {"x": 1}))
    assert latest("x", "i4").value == 1


def test_an_instrument_has_so_many_status_values_and_the_known_ones_go_on() -> None:
    write = Bench(most_status_values=2)
    write(came(DASMON, {"a": 1, "b": 1}))
    write(came(DASMON, {"a": 2, "c": 2}))
    assert set(Series.objects.values_list("name", flat=True)) == {"a", "b"}
    assert latest("a").value == 2
    assert "too many different status values" in UnreadMessage.objects.get().reason


def test_what_cannot_be_read_is_counted_and_the_newest_is_kept(write: Bench) -> None:
    for body in (b"first", b"second"):
        write(came(DASMON, body))
    write(came("/topic/SNS.APP.DASMON", b"{}"), came("/topic/SNS.ARCS.APP.SMS", b"x"))
    unread = UnreadMessage.objects.get(destination=DASMON)
    assert (unread.times, bytes(unread.body)) == (2, b"second")
    assert UnreadMessage.objects.count() == 2
    assert (write.tally.messages, write.tally.unread, write.tally.run_notes) == (4, 3, 1)


def test_a_message_that_the_database_refuses_harms_no_other(write: Bench) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dasmon_sample ADD CHECK (text <> 'poison')")
    bodies = [{"x": "poison" if number == 33 else str(number)} for number in range(100)]
    write(*[came(DASMON, body) for body in bodies])
    assert len(samples("x")) == 99
    unread = UnreadMessage.objects.get()
    assert (bytes(unread.body), unread.times) == (b'{"x": "poison"}', 1)
    assert unread.reason.startswith("It cannot be kept: ")
    assert not write.writer.has_pending


def test_what_was_refused_made_no_instruments() -> None:
    """Each attempt at a batch with one bad message counted all of its new instruments again."""
    write = Bench(most_new_instruments=20)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dasmon_sample ADD CHECK (text <> 'poison')")
    names = [f"I{number:02}" for number in range(16)]
    good = [came(f"/topic/SNS.{name}.APP.DASMON", {"x": 1}) for name in names]
    write(came("/topic/SNS.I15.APP.DASMON", {"x": "poison"}), *good)
    assert Instrument.objects.count() == 16
    assert Latest.objects.filter(value=1).count() == 16
    assert UnreadMessage.objects.get().reason.startswith("It cannot be kept: ")


def test_whether_a_batch_was_written_is_seen_from_its_mark_alone(write: Bench) -> None:
    """Others may get the number of a transaction that was lost when the server died."""
    with transaction.atomic():
        lost = services.mark_batch()
        transaction.set_rollback(True)
    assert not services.is_written(lost)
    mark = services.mark_batch()
    Instrument.objects.create(name="arcs")
    assert services.is_written(mark)
    write(came(DASMON, {"x": 1}))
    assert not services.is_written(mark)


def test_an_unread_message_that_cannot_be_written_down_costs_no_gap(write: Bench) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dasmon_unread_message ADD CHECK (body <> 'poison')")
    began = ago(100).timestamp()
    write.intake.put_gap(Missing(None, began, began + 1, None, "Because."))
    write(came(DASMON, b"poison"), came(DASMON.replace("ARCS", "CNCS"), b"else"))
    assert Gap.objects.count() == 1
    assert bytes(UnreadMessage.objects.get().body) == b"else"


def test_a_gap_that_grows_is_one(write: Bench) -> None:
    began = ago(100).timestamp()
    for seconds, lost in ((1, 10), (2, 25)):
        write.intake.put_gap(Missing("arcs", began, began + seconds, lost, "Because."))
        write.intake.put_gap(Missing(None, began, began + seconds, None, "Because."))
        write()
    assert sorted(Gap.objects.values_list("instrument__name", "lost", "reason"), key=str) == [
        ("arcs", 25, "Because."),
        (None, None, "Because."),
    ]
    assert {gap.ended_at - gap.began_at for gap in Gap.objects.all()} == {timedelta(seconds=2)}


def test_a_batch_is_a_few_statements(write: Bench, django_assert_max_num_queries: Any) -> None:
    topics = [f"/topic/SNS.I{number}.APP.DASMON" for number in range(30)]
    deliveries = [came(topic, {f"v{i}": i for i in range(20)}) for topic in topics]
    write(*deliveries)
    with django_assert_max_num_queries(7):
        write(*deliveries)
    assert Latest.objects.count() == 600
