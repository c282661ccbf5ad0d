"""What is missing, in one sentence."""

import datetime as dt
from dataclasses import dataclass

from webmon.status.gap_words import gap_sentence

NOW = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Gap:
    began_at: dt.datetime
    ended_at: dt.datetime
    lost: int | None = None
    reason: str = "the broker was away"


def gap(began: float, ended: float, lost: int | None = None) -> Gap:
    """From and until so many seconds before now."""
    began_at, ended_at = (NOW - dt.timedelta(seconds=ago) for ago in (began, ended))
    return Gap(began_at, ended_at, lost)


def test_nothing_missing_is_nothing_said() -> None:
    assert gap_sentence([], HOUR, NOW) == ""


def test_what_gaps_share_counts_once_and_only_the_last_hour() -> None:
    said = gap_sentence([gap(100, 60, 5), gap(90, 40), gap(4000, 3590, 7)], HOUR, NOW)
    assert said == (
        "In the last hour values are missing 3 times, 1 min 10 s together (12 lost); "
        "the newest gap ended 40 s ago: the broker was away."
    )
