"""When a value is an alarm."""

from enum import StrEnum


class Condition(StrEnum):
    ABOVE = "above"
    BELOW = "below"
    OUTSIDE = "outside"
    CHANGED = "changed"
    STALE = "stale"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Condition.ABOVE: "is above",
    Condition.BELOW: "is below",
    Condition.OUTSIDE: "is out of range",
    Condition.CHANGED: "changed",
    Condition.STALE: "is not updated",
}
