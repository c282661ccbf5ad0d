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


def test_a_connection_that_is_lost_is_a_gap_from_when_it_was_last_there() -> None:
    intake = Intake(10)
    absence = Absence(intake)
    absence.begin(None)
    absence.look(NOW, is_connected=False)
    assert told(intake) == []
    absence.look(NOW + 1, is_connected=True)
    for second in range(2, 5):
        absence.look(NOW + second, is_connected=False)
    absence.look(NOW + 4.5, is_connected=True)
    assert told(intake) == [
        Missing(None, NOW + 1, end, None, BROKER_AWAY)
        for end in (NOW + 2, NOW + 3, NOW + 4, NOW + 4.5)
    ]
