"""What waits is bounded; what is given up is the noisiest one's, counted, and shown as a gap."""

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.topics import Topic, What
from dasmon_listener.intake import SHED_REASON, Intake, Missing, Taken, Unread
from dasmon_listener.protocol.messages import Heartbeat, Signal, StatusValues

NOW = 1_771_500_000.0


def values(instrument: str, at: float, number: int = 10) -> Taken:
    topic = Topic("SNS", instrument, What.VALUES)
    named = {f"value_{i}": str(at) for i in range(number)}
    return Taken(StatusValues(topic, at, named), at, f"SNS.{instrument}.APP.DASMON", b"")


def heartbeat(at: float, name: str = "dasmon") -> Taken:
    topic = Topic("SNS", "arcs", What.HEARTBEAT)
    return Taken(Heartbeat(topic, at, name, "0", None), at, "SNS.ARCS.STATUS.DASMON", b"")


def signal(at: float) -> Taken:
    report = SignalReport("arcs", "HOT", Level.ERROR, "", "", None)  # type: ignore[arg-type]
    topic = Topic("SNS", "arcs", What.SIGNAL)
    return Taken(Signal(topic, report), at, "SNS.ARCS.SIGNAL.DASMON", b"")


def test_the_oldest_of_the_noisiest_go_first() -> None:
    intake = Intake(most=1_000)
    quiet = [values("arcs", NOW + i) for i in range(5)]
    noisy = [values("cncs", NOW + i) for i in range(100)]
    intake.put([*quiet, *noisy], [], NOW + 100)
    batch = intake.take(10_000)
    kept = [each.received_at for each in batch.telemetry if each not in quiet]
    assert [each for each in batch.telemetry if each in quiet] == quiet
    assert kept == [NOW + i for i in range(5, 100)]
    assert intake.shed == 50
    assert batch.gaps == [Missing("cncs", NOW, NOW + 4, 50, SHED_REASON)]
    assert intake.waiting == 0


def test_a_gap_grows_while_too_much_comes_and_ends_with_it() -> None:
    intake = Intake(most=20)
    intake.put([values("cncs", NOW + i) for i in range(4)], [], NOW + 4)
    assert intake.take(1_000).gaps == [Missing("cncs", NOW, NOW + 1, 20, SHED_REASON)]
    intake.put([values("cncs", NOW + i) for i in (5, 6, 7)], [], NOW + 7)
    assert intake.take(1_000).gaps == [Missing("cncs", NOW, NOW + 5, 30, SHED_REASON)]
    assert intake.take(1_000).is_empty
    intake.put([values("cncs", NOW + 100 + i) for i in range(3)], [], NOW + 103)
    later = Missing("cncs", NOW + 100, NOW + 100, 10, SHED_REASON)
    assert intake.take(1_000).gaps == [later]


def test_signals_and_signs_of_life_stay() -> None:
    intake = Intake(most=10)
    signals = [signal(NOW + i) for i in range(50)]
    intake.put([values("arcs", NOW) for _ in range(50)], [heartbeat(NOW), *signals], NOW)
    assert intake.take(1_000).notable[1:] == signals


def test_of_each_process_the_newest_sign_waits_and_older_ones_are_settled() -> None:
    intake = Intake(most=10)
    old, new, other = heartbeat(NOW), heartbeat(NOW + 5), heartbeat(NOW, "pvsd")
    assert intake.put([], [old, other], NOW) == []
    assert intake.put([], [new], NOW) == [old]
    assert intake.take(10).notable == [new, other]


def test_a_batch_is_bounded_and_the_quiet_ones_are_in_it() -> None:
    intake = Intake(most=1_000_000)
    noisy = [values("cncs", NOW + i) for i in range(1_000)]
    quiet = values("arcs", NOW + 500)
    intake.put([*noisy, quiet], [], NOW)
    batch = intake.take(100)
    assert batch.telemetry == [quiet, *noisy[:9]]
    assert intake.waiting == 10_010 - 100
    assert intake.take(100).telemetry == noisy[9:19]


def test_unread_messages_are_counted_by_kind_and_the_newest_is_kept() -> None:
    intake = Intake(most=10)
    for number in range(3):
        intake.put_unread(Unread("SNS.A.APP.DASMON", "The body is no JSON.", b"%d" % number))
    assert intake.take(10).unread == [Unread("SNS.A.APP.DASMON", "The body is no JSON.", b"2", 3)]


def test_many_kinds_of_unread_messages_become_one() -> None:
    intake = Intake(most=10)
    for number in range(5_000):
        intake.put_unread(Unread(f"SNS.{number}.X", "The body is no JSON.", b""))
    unread = intake.take(10).unread
    assert len(unread) == 1_001
    assert sum(each.times for each in unread) == 5_000


def test_bodies_of_unread_messages_are_bounded_and_each_is_counted() -> None:
    intake = Intake(most=10)
    body = bytes(10 * 1024 * 1024)
    for number in range(20):
        intake.put_unread(Unread(f"SNS.{number % 10}.X", "The body is too large.", body))
    unread = intake.take(10).unread
    assert [each.times for each in unread] == [2] * 10
    assert sum(len(each.body) for each in unread) == 6 * len(body)
    intake.put_unread(Unread("SNS.Y.X", "The body is too large.", body))
    assert intake.take(10).unread == [Unread("SNS.Y.X", "The body is too large.", body)]


def test_long_texts_count_as_many_values() -> None:
    intake = Intake(most=1_000)
    long = [values("cncs", NOW + i, number=1) for i in range(20)]
    for taken in long:
        taken.body = bytes(20_000)
    intake.put(long, [], NOW)
    batch = intake.take(1_000)
    assert batch.telemetry == long[10:]
    assert batch.gaps == [Missing("cncs", NOW, NOW + 9, 10, SHED_REASON)]


def test_messages_without_any_value_are_bounded_too() -> None:
    intake = Intake(most=10)
    intake.put([values("cncs", NOW + i, number=0) for i in range(50)], [], NOW)
    assert intake.waiting == 10
    assert len(intake.take(1_000).telemetry) == 10
