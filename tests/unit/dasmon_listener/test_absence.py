"""Times without anybody who hears are told as gaps that grow."""

from datetime import UTC, datetime

from dasmon_listener.daemon import BROKER_AWAY, NOBODY_LISTENED, Absence
from dasmon_listener.intake import Intake, Missing

NOW = 1_771_500_000.0


def told(intake: Intake) -> list[Missing]:
    return intake.take(1).gaps


def test_until_the_first_connection_nobody_listened() -> None:
    intake = Intake(10)
    absence = Absence(intake)
    absence.begin(datetime.fromtimestamp(NOW - 60, UTC))
    absence.look(NOW, is_connected=False)
    absence.look(NOW + 0.2, is_connected=False)
    assert told(intake) == [Missing(None, NOW - 60, NOW, None, NOBODY_LISTENED)]
    absence.look(NOW + 3, is_connected=True)
    absence.look(NOW + 4, is_connected=True)
    assert told(intake) == [Missing(None, NOW - 60, NOW + 3, None, NOBODY_LISTENED)]


def test_a_connection_that_is_lost_is_a_gap_from_the_last_message_on() -> None:
    """What was sent after it may be lost, though the connection was lost, or seen so, later."""
    intake = Intake(10)
    absence = Absence(intake)
    absence.begin(None)
    absence.look(NOW, is_connected=False)
    assert told(intake) == []
    absence.look(NOW + 1, is_connected=True)
    absence.came(NOW + 2)
    absence.look(NOW + 5, is_connected=True)
    for second in range(6, 9):
        absence.look(NOW + second, is_connected=False)
    absence.look(NOW + 8.5, is_connected=True)
    assert told(intake) == [
        Missing(None, NOW + 1, end, None, BROKER_AWAY)
        for end in (NOW + 6, NOW + 7, NOW + 8, NOW + 8.5)
    ]


def test_a_connection_without_messages_is_trusted_from_its_begin_on() -> None:
    intake = Intake(10)
    absence = Absence(intake)
    absence.begin(None)
    absence.look(NOW + 100, is_connected=True)
    absence.look(NOW + 110, is_connected=True)
    absence.look(NOW + 120, is_connected=False)
    assert told(intake) == [Missing(None, NOW + 99, NOW + 120, None, BROKER_AWAY)]


def test_a_connection_that_is_lost_while_subscriptions_are_granted_is_a_gap() -> None:
    intake = Intake(10)
    absence = Absence(intake)
    absence.begin(None)
    absence.look(NOW, is_connected=False)
    absence.came(NOW + 1)
    absence.look(NOW + 2, is_connected=False)
    absence.look(NOW + 2.5, is_connected=True)
    assert told(intake) == [
        Missing(None, NOW, end, None, BROKER_AWAY) for end in (NOW + 2, NOW + 2.5)
    ]
