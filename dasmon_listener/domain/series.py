"""What a series is: a PV, or a status value that DASMON reports."""

from enum import IntEnum


class Kind(IntEnum):
    PV = 0
    STATUS_VALUE = 1

    @property
    def word(self) -> str:
        return "PV" if self is Kind.PV else "status value"
