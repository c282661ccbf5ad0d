"""Everything that a demo keeps: one folder, with its secrets readable by its owner only."""

import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PEOPLE = ("admin", "scientist", "user", "uploads")
BROKER_USERS = ("workflow", "agent", "instruments", "listener", "operator")


def _password() -> str:
    return secrets.token_urlsafe(12)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made afresh for each folder, never by default."""

    database: str = field(default_factory=_password)
    application: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    plots: str = field(default_factory=_password)
    people: dict[str, str] = field(default_factory=lambda: {name: _password() for name in PEOPLE})
    broker: dict[str, str] = field(
        default_factory=lambda: {name: _password() for name in BROKER_USERS}
    )


@dataclass(frozen=True, slots=True)
class State:
    """The folder of one demo."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def facility_root(self) -> Path:
        return self.folder / "facility"

    @property
    def endpoints_file(self) -> Path:
        return self.folder / "endpoints.json"

    @property
    def lock_file(self) -> Path:
        return self.folder / "demo.pid"

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def prepare(self) -> Secrets:
        """Make the folder, closed to others, and read or make its secrets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for folder in (self.logs, self.facility_root, self.path("broker"), self.path("agent")):
            folder.mkdir(exist_ok=True)
        for folder in (self.path("celery"), self.path("celery", "control")):
            folder.mkdir(exist_ok=True)
        file = self.path("secrets.json")
        if file.exists():
            kept = Secrets(**json.loads(file.read_text(encoding="utf-8")))
            if kept.broker.keys() >= set(BROKER_USERS):
                return kept
            made = replace(kept, broker={**Secrets().broker, **kept.broker})
        else:
            made = Secrets()
        write_private(file, {name: getattr(made, name) for name in Secrets.__slots__})
        return made


def write_private(file: Path, content: Any) -> None:
    """Write JSON that only the owner may read, at once or not at all."""
    temporary = file.with_name(file.name + ".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.rename(file)
