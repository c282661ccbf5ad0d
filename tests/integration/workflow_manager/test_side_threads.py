"""What works beside the receiving: if a part of it ends, the process ends and is started again."""

import threading

import pytest

from workflow_manager.daemon import ThreadLostError, side_threads


def waits(stop: threading.Event) -> None:
    stop.wait()


def test_all_parts_end_when_the_work_does() -> None:
    stop = threading.Event()
    ended: list[str] = []

    def part(name: str) -> None:
        stop.wait()
        ended.append(name)

    with side_threads({name: lambda name=name: part(name) for name in "ab"}, stop):  # type: ignore[misc]
        assert ended == []
    assert sorted(ended) == ["a", "b"]


def test_a_part_that_is_lost_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()

    def fails() -> None:
        raise KeyError("never foreseen")

    with (
        pytest.raises(ThreadLostError, match="The recovery ended"),
        side_threads({"recovery": fails, "other": lambda: waits(stop)}, stop),
    ):
        assert stop.wait(20)
    assert "never foreseen" in caplog.text
