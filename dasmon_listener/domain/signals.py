"""A signal as DASMON sends it: an alarm that is asserted, or retracted."""

from dataclasses import dataclass
from datetime import datetime

from dasmon_listener.domain.levels import Level


@dataclass(frozen=True, slots=True)
class SignalReport:
    """What one message says. Without a level the alarm of this name is retracted."""

    instrument: str
    name: str
    level: Level | None
    source: str
    message: str
    sent_at: datetime
