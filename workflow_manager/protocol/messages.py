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

    `body` is the whole object as it arrived, unknown keys included; it is what gets forwarded.
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
