"""How bad an alarm is, as signals of the data acquisition count it."""

from enum import IntEnum


class Level(IntEnum):
    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4
    FATAL = 5

    @property
    def word(self) -> str:
        return self.name.lower()


# From here on an alarm is told to people and counts as one that needs them.
WORTH_TELLING = Level.WARNING
