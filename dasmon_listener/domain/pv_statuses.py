"""What the status that comes with a PV says, in words; the codes are those of EPICS."""

# From 0 up: read and write errors, limits, then why there is no good value.
_WORDS = (
    "good",
    "read error",
    "write error",
    "far too high",
    "high",
    "far too low",
    "low",
    "bad state",
    "state changed",
    "no communication",
    "timed out",
    "hardware limit",
    "bad calculation",
    "bad scan",
    "broken link",
    "software error",
    "bad subroutine",
    "undefined",
    "disabled",
    "simulated",
    "no read access",
    "no write access",
)
_OTHERS = {0xFFFE: "disconnected", 0xFFFF: "not reported"}


def status_word(status: int | None) -> str:
    """Empty while it is good or nobody told; an unknown code speaks for itself."""
    if not status:
        return ""
    if 0 < status < len(_WORDS):
        return _WORDS[status]
    return _OTHERS.get(status, f"status {status}")
