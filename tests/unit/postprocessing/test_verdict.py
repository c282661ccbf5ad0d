"""Exit code, signal, limit and stderr: every combination has one verdict."""

import re
from dataclasses import replace

import pytest

from postprocessing.execution.limits import memory_sentence, time_sentence
from postprocessing.execution.program import Outcome
from postprocessing.jobs.verdict import Verdict, error_line, verdict

TOLERATED = (re.compile("Error in logging framework"),)


def outcome(
    exit_code: int | None = 0,
    signal: int | None = None,
    reason: str | None = None,
    message: str = "",
    unkillable: tuple[int, ...] = (),
) -> Outcome:
    return Outcome(
        exit_code=exit_code,
        signal=signal,
        reason=reason,
        message=message,
        seconds=1.0,
        peak_memory=1,
        leftovers=0,
        unkillable=unkillable,
        log_problem=None,
        stderr="",
    )


@pytest.mark.parametrize(
    ("ended", "stderr", "expected"),
    [
        (outcome(0), "", Verdict()),
        (outcome(0, reason="leftovers"), "", Verdict()),
        (outcome(0), "warning\n", Verdict("warning")),
        (
            outcome(0),
            "x\nError in logging framework\n",
            Verdict(tolerated="Error in logging framework"),
        ),
        (outcome(3), "Error in logging framework\n", Verdict("Error in logging framework")),
        (outcome(0), "---\n \n", Verdict("wrote only blank lines or dashes to stderr; see LOG")),
        (outcome(3), "", Verdict("exited with code 3 and wrote nothing to stderr; see LOG")),
        (
            outcome(3),
            "--\n",
            Verdict("exited with code 3 and wrote only blank lines or dashes to stderr; see LOG"),
        ),
        (outcome(1), "Traceback\nRuntimeError: boom\n", Verdict("boom")),
        (outcome(None, signal=15), "", Verdict("killed by signal 15 (SIGTERM)")),
        (
            outcome(None, signal=9),
            "RuntimeError: boom\n",
            Verdict(
                "killed by signal 9 (SIGKILL); the system does this when memory runs out."
                " It wrote: boom"
            ),
        ),
        (outcome(0, reason="time", message="too long"), "Error: no\n", Verdict("too long")),
        (outcome(None, 9, "memory", "too much"), "", Verdict("too much")),
        (
            outcome(0, unkillable=(4, 5)),
            "",
            Verdict("processes 4, 5 cannot be ended; they hang in the kernel"),
        ),
    ],
)
def test_verdict(ended: Outcome, stderr: str, expected: Verdict) -> None:
    assert verdict(replace(ended, stderr=stderr), TOLERATED, "LOG") == expected


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        ("", None),
        ("\n--- \n", None),
        ("a\nb\n---\n\n", "b"),
        ("RuntimeError: one\nlater noise\n", "one"),
        ("Error: one\nValueError: two\n", "two"),
        ("Error: \n", "Error:"),
    ],
)
def test_error_line(stderr: str, line: str | None) -> None:
    assert error_line(stderr) == line


def test_the_sentences_about_limits_are_those_that_people_search_for() -> None:
    assert time_sentence(3.044741, 3.0) == (
        "Time limit exceeded (3.044741 s > 3.000000 s). Terminating job."
    )
    assert memory_sentence(362287000, 252765288) == (
        "Total memory usage exceeded limit (0.337406 GiB > 0.235406 GiB). Terminating job."
    )
