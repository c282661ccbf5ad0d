"""Lengths of time in words; `ages.js` says the same, which the browser test compares."""

import datetime as dt

import pytest

from webmon.ui import durations

SPOKEN = [
    (0, "0.0 s", "0 s"),
    (-5, "0.0 s", "0 s"),
    (1.84, "1.8 s", "1 s"),
    (9.94, "9.9 s", "9 s"),
    (9.96, "10 s", "9 s"),
    (59.6, "1 min", "59 s"),
    (60, "1 min", "1 min"),
    (185, "3 min 5 s", "3 min 5 s"),
    (3600, "1 h", "1 h"),
    (7800, "2 h 10 min", "2 h 10 min"),
    (86400 * 4 + 3 * 3600 + 59, "4 d 3 h", "4 d 3 h"),
]


@pytest.mark.parametrize(("seconds", "words", "age"), SPOKEN)
def test_words(seconds: float, words: str, age: str) -> None:
    duration = dt.timedelta(seconds=seconds)
    assert durations.words(duration) == words
    assert durations.age(duration) == age
