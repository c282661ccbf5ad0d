"""How long a component may be silent."""

from datetime import UTC, datetime, timedelta

import pytest

from dasmon_listener.domain.silence import SignsOfLife

HEARD_AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return HEARD_AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(("period", "limit"), [(1, 15), (5, 15), (10, 30), (30, 65), (120, 245)])
def test_limits(period: float, limit: float) -> None:
    signs = SignsOfLife("dasmon", HEARD_AT, timedelta(seconds=period))
    assert not signs.is_silent(after(limit), HEARD_AT)
    assert signs.is_silent(after(limit + 0.001), HEARD_AT)
    assert signs.is_heard(after(limit))


def test_silence_counts_from_when_we_listened() -> None:
    signs = SignsOfLife("dasmon", HEARD_AT, timedelta(seconds=5))
    assert not signs.is_silent(after(1000), listening_since=after(985))
    assert signs.is_silent(after(1001), listening_since=after(985))
    assert not signs.is_heard(after(1000))
