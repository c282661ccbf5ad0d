"""Whether an instrument records, from what its data acquisition says."""

from enum import StrEnum


class Recording(StrEnum):
    """In the words that the replaced system's programs read."""

    RECORDING = "Recording"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"
    NOT_REPORTED = "-"


def recording_state(
    recording: str | None, paused: str | None, *, is_adara: bool, is_known: bool
) -> Recording:
    """From the status values `recording` and `paused` as they came, None where they never did.

    `is_adara` is whether DASMON reports of the instrument; `is_known` whether any instrument ever
    told if it records.
    """
    if not is_adara:
        return Recording.NOT_REPORTED
    if not is_known:
        return Recording.UNKNOWN
    if not _is_true(recording):
        return Recording.STOPPED
    return Recording.PAUSED if _is_true(paused) else Recording.RECORDING


def _is_true(value: str | None) -> bool:
    return value is not None and value.strip().lower() == "true"


def run_now(told: str | None) -> str:
    """The number of the run as data acquisition tells it; between runs that is 0, and none here."""
    return "" if told is None or told.strip() == "0" else told
