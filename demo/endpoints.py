"""Where everything of a running demo is: what `endpoints.json` holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class BrokerEndpoint:
    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    web: str
    broker: BrokerEndpoint
    database: str
    facility_root: Path
    passwords: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        people = {
            name: {"username": name, "password": self.passwords[name]}
            for name in ("admin", "scientist", "user")
        }
        return {
            "web": self.web,
            "broker": {
                "host": self.broker.host,
                "port": self.broker.port,
                "user": self.broker.user,
                "password": self.broker.password,
            },
            "database": self.database,
            "facility_root": str(self.facility_root),
            "users": people,
            "uploads": {"username": "uploads", "password": self.passwords["uploads"]},
        }
