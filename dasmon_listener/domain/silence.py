"""When a component that says it is there is silent for too long."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SHORTEST_LIMIT = timedelta(seconds=15)
MISSED_BEATS = 3
# Agents beat each 30 s, and three of these would be long: two, and some seconds for the way.
SLOW_PERIOD = timedelta(seconds=30)
MISSED_SLOW_BEATS = 2
ON_THE_WAY = timedelta(seconds=5)


def silence_of(component: str) -> str:
    """The name of the alarm of a component that is silent."""
    return f"silent {component}"


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """When a component was heard (by our clock), and how often it should be."""

    name: str
    heard_at: datetime
    period: timedelta

    @property
    def limit(self) -> timedelta:
        """The longest silence that means nothing: 15 s at 5 s and less, 65 s at 30 s."""
        if self.period >= SLOW_PERIOD:
            return MISSED_SLOW_BEATS * self.period + ON_THE_WAY
        return max(MISSED_BEATS * self.period, SHORTEST_LIMIT)

    def is_heard(self, now: datetime) -> bool:
        return now - self.heard_at <= self.limit

    def is_silent(self, now: datetime, listening_since: datetime) -> bool:
        """Whether it said nothing for too long while we listened."""
        return now - max(self.heard_at, listening_since) > self.limit

    @property
    def message(self) -> str:
        since = self.heard_at.astimezone(UTC)
        return (
            f"{self.name} is silent since {since:%Y-%m-%d %H:%M:%S} UTC; it should be heard each "
            f"{self.period.total_seconds():g} s."
        )
