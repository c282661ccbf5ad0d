"""What came of one try to tell somebody, and when to try again."""

from dataclasses import dataclass
from datetime import timedelta

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 5 * 60, 30 * 60, 2 * 60 * 60))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`words` is what the other side said, whole; `is_final` if another try would say the same."""

    is_success: bool
    words: str
    is_final: bool = False


def pause_after(attempts: int) -> timedelta | None:
    """How long to wait after so many tries (at least 1) that failed; None: it is given up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
