"""What the agent says about a job: the received dictionary, and what it found out.

Keys keep the order in which they came; ours follow. Replies carry `job_id` and `attempt` because
they carry everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST_DETAIL = 64_000  # characters of a script's stderr that travel with the error
# What stays of a report that the broker does not take: whose it is, and how the job ended.
_ESSENTIAL = (
    *("facility", "instrument", "ipts", "run_number", "data_file", "job_id", "attempt"),
    *("information", "agent", "exit_code", "peak_memory", "started_at", "ended_at"),
)
_LONGEST_ESSENTIAL = 4096  # characters of one value
_TOO_LARGE = "the report was too large for the broker and was shortened"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended. `destination` is a queue name without prefix.

    `remark` takes the place of the agent's name in `information`.
    """

    destination: str
    error: str | None = None
    remark: str | None = None
    detail: str | None = None
    exit_code: int | None = None
    peak_memory: int | None = None


def started(content: Mapping[str, Any], agent: str) -> dict[str, Any]:
    return {**content, "information": agent}


def refused(content: Mapping[str, Any], agent: str, error: str) -> dict[str, Any]:
    """The reply to a message of which no job can be made."""
    return {**content, "information": agent, "error": error}


def ended(
    content: Mapping[str, Any], agent: str, ending: Ending, began_at: datetime
) -> dict[str, Any]:
    """The final report; times are ISO 8601 in UTC, `peak_memory` is in bytes."""
    report = {**content, "information": ending.remark or agent}
    if ending.error is not None:
        report["error"] = presentable(ending.error)
    if ending.detail:
        report["error_detail"] = shortened(presentable(ending.detail))
    if ending.peak_memory is not None:
        report["peak_memory"] = ending.peak_memory
    return {
        **report,
        "agent": agent,
        "exit_code": ending.exit_code,
        "started_at": began_at.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
    }


def abridged(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report of less than 80 kB in the place of one that is too large, which it says itself.

    A failure says so in its error, which may be long and is then shortened too; what is no
    failure must not have an error, and says so as its remark.
    """
    short = {key: report[key] for key in _ESSENTIAL if key in report and _is_short(report[key])}
    place, said = ("error" if "error" in report else "information"), _TOO_LARGE
    if place in report:
        said = f"{shortened(str(report[place]), _LONGEST_ESSENTIAL)}; {_TOO_LARGE}"
    return {**short, place: said}


def _is_short(value: Any) -> bool:
    return len(str(value)) <= _LONGEST_ESSENTIAL


def presentable(text: str) -> str:
    """Without the characters that a program may write and a report cannot carry."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def shortened(text: str, limit: int = LONGEST_DETAIL) -> str:
    """Head and tail, with what is left out counted between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
