"""How many bytes of messages one broker keeps, and how many it may."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_BYTES = 1024**3
OVERHEAD = 1000  # bytes that Python needs around a message, roughly


class MemoryFullError(Exception):
    """There is no room for another message until somebody reads some."""


@dataclass(slots=True)
class Memory:
    """An account of bytes; `used` may exceed `limit` only by what was loaded at the start."""

    limit: int = MAX_BYTES
    used: int = 0

    def fits(self, size: int) -> bool:
        return self.used + size <= self.limit


def weight(headers: Mapping[str, str], body: bytes) -> int:
    """What keeping a message costs, in bytes."""
    return OVERHEAD + len(body) + sum(len(key) + len(value) for key, value in headers.items())
