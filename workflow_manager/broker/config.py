"""Where the broker is and who we are there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """`brokers` are tried in order; `heartbeat_ms` is asked for in both directions."""

    brokers: tuple[tuple[str, int], ...]
    user: str
    password: str
    heartbeat_ms: int = 10_000
    client_name: str = "webmon"
