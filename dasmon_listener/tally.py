"""What this listener counts of itself."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Several threads count; another one reads."""

    is_active: bool = False
    messages: int = 0
    values: int = 0
    unread: int = 0
    run_notes: int = 0
    lag: float | None = None  # seconds from the arrival of the oldest message of a batch
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def came(self, messages: int, unread: int, run_notes: int) -> None:
        with self._lock:
            self.messages += messages
            self.unread += unread
            self.run_notes += run_notes

    def wrote(self, values: int, lag: float | None) -> None:
        with self._lock:
            self.values += values
            if lag is not None:
                self.lag = lag
