"""What we conclude from the age of the last sign of a process."""

import enum
from datetime import timedelta

# A workflow manager tells each 5 s, an agent is asked each 10 s: two signs may be missing.
MANAGER_LATE = timedelta(seconds=15)
AGENT_LATE = timedelta(seconds=25)
# Agents in the field answer nothing while they work; their own sign comes each 30 s.
OLD_AGENT_LATE = timedelta(seconds=65)
SILENT = timedelta(hours=1)


class Liveness(enum.StrEnum):
    OK = "ok"
    LATE = "late"
    SILENT = "silent"


def liveness(age: timedelta, late_after: timedelta) -> Liveness:
    """`age` is that of the last sign; negative ages (clocks differ) are none."""
    if age <= late_after:
        return Liveness.OK
    return Liveness.LATE if age <= SILENT else Liveness.SILENT
