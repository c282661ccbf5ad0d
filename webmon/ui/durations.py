"""Lengths of time in words, as short as they stay true."""

import datetime as dt

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def words(duration: dt.timedelta) -> str:
    """`1.8 s`, `14 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. Below zero counts as zero."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return _whole(round(seconds))


def age(duration: dt.timedelta) -> str:
    """The same in whole units, for numbers that tick."""
    return _whole(max(0, int(duration.total_seconds())))


def _whole(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return _two(seconds, _MINUTE, "min", 1, "s")
    if seconds < _DAY:
        return _two(seconds, _HOUR, "h", _MINUTE, "min")
    return _two(seconds, _DAY, "d", _HOUR, "h")


def _two(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = seconds % large // small
    head = f"{seconds // large} {large_unit}"
    return f"{head} {rest} {small_unit}" if rest else head
