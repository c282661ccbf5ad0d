"""What a message says, decoded. Frozen: the next line of code never wonders what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JobReference:
    """The job that a report answers; agents copy it from the job's message into their replies."""

    job_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RunMessage:
    """A message about one run.

    `body` is the whole object as it arrived, unknown keys included, the run's own keys cleaned;
    it is what gets forwarded.
    """

    queue: str
    instrument: str
    run_number: int
    proposal: str
    facility: str
    data_file: str
    information: str | None
    error: str | None
    job: JobReference | None
    body: Mapping[str, Any]

    @property
    def run_key(self) -> tuple[str, int]:
        return (self.instrument, self.run_number)


def body_of_run(
    *, facility: str, instrument: str, proposal: str, number: int, data_file: str
) -> dict[str, Any]:
    """What an agent needs to know of a run. The path tells a facility that nobody else told."""
    return {
        "facility": facility or data_file.strip("/").split("/")[0].upper(),
        "instrument": instrument,
        "ipts": proposal,
        "run_number": number,
        "data_file": data_file,
    }
