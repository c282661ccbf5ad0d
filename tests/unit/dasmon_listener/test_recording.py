"""The words of an instrument's state."""

import pytest

from dasmon_listener.domain.recording import run_now


@pytest.mark.parametrize(
    ("told", "shown"), [(None, ""), ("0", ""), (" 0 ", ""), ("214583", "214583"), ("007", "007")]
)
def test_between_runs_there_is_no_run(told: str | None, shown: str) -> None:
    assert run_now(told) == shown
