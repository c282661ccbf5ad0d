"""When another try is made."""

from dasmon_listener.domain.outcomes import pause_after


def test_pauses_grow_and_end() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 7)]
    assert pauses[-1] is None
    seconds = [pause.total_seconds() for pause in pauses if pause is not None]
    assert seconds == [10, 60, 300, 1800, 7200]
