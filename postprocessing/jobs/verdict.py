"""Did a script succeed? The exit code decides first, then what it wrote to stderr."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from postprocessing.execution.program import Outcome

_ERROR = re.compile(r"Error: (.+)$")
_SAYS_NOTHING = re.compile(r"[-\s]*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Success if `error` is None; then `tolerated` may hold an error line that does not count."""

    error: str | None = None
    tolerated: str | None = None


def verdict(outcome: Outcome, exceptions: Sequence[re.Pattern[str]], log: str) -> Verdict:
    """Judge a program.

    Args:
        exceptions: what may stand in the error line of a program with exit code 0.
        log: where its output is, for the texts.
    """
    stderr = outcome.stderr
    ended_for_it = _not_by_itself(outcome)
    if ended_for_it is not None:
        return Verdict(ended_for_it)
    line = error_line(stderr)
    if outcome.exit_code != 0:
        return Verdict(line or _silent_failure(outcome.exit_code, stderr, log))
    if line is None:
        return Verdict(_only_blanks(log) if stderr else None)
    if any(pattern.search(line) for pattern in exceptions):
        return Verdict(tolerated=line)
    return Verdict(line)


def _not_by_itself(outcome: Outcome) -> str | None:
    """What is wrong if the program did not end by its own will."""
    if outcome.reason in ("time", "memory", "start", "supervisor"):
        return outcome.message
    if outcome.unkillable:
        pids = ", ".join(str(pid) for pid in outcome.unkillable)
        return f"processes {pids} cannot be ended; they hang in the kernel"
    if outcome.signal is None:
        return None
    return _killed(outcome.signal, error_line(outcome.stderr))


def error_line(stderr: str) -> str | None:
    """The last `…Error: text`, else the last line that says anything."""
    last = None
    for line in stderr.splitlines():
        if found := _ERROR.search(line):
            last = found[1]
    if last is not None:
        return last
    return next(
        (each.strip() for each in reversed(stderr.splitlines()) if not _is_empty(each)), None
    )


def _is_empty(line: str) -> bool:
    return _SAYS_NOTHING.fullmatch(line) is not None


def _only_blanks(log: str) -> str:
    return f"wrote only blank lines or dashes to stderr; see {log}"


def _silent_failure(exit_code: int | None, stderr: str, log: str) -> str:
    what = "only blank lines or dashes" if stderr else "nothing"
    return f"exited with code {exit_code} and wrote {what} to stderr; see {log}"


def _killed(number: int, line: str | None) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "no common one"
    hint = "; the system does this when memory runs out" if number == signal.SIGKILL else ""
    said = f". It wrote: {line}" if line else ""
    return f"killed by signal {number} ({name}){hint}{said}"
