"""How the parts of the system are: managers, agents, queues and the outbox. One query each.

Ages are counted by the database's clock, so that the clock of a web server does not matter.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection

from workflow_manager.domain.liveness import (
    AGENT_LATE,
    MANAGER_LATE,
    OLD_AGENT_LATE,
    Liveness,
    liveness,
)
from workflow_manager.sql import HEALTH


@dataclass(frozen=True, slots=True)
class ManagerHealth:
    """A workflow manager, as it last told.

    `name` is host and process number; `lag_seconds` the age of its newest message when that was
    recorded, None where the sender's clock says nothing usable.
    """

    name: str
    liveness: Liveness
    seen_at: dt.datetime
    started_at: dt.datetime
    is_connected: bool
    handled: int
    last_message_at: dt.datetime | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """An agent and how many jobs it has.

    `slots` is None for older agents, which do not tell; `lost_at` is set while its jobs were given
    to others and it was not heard again.
    """

    name: str
    liveness: Liveness
    seen_at: dt.datetime
    first_seen_at: dt.datetime
    lost_at: dt.datetime | None
    pid: str
    slots: int | None
    running: int


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """The open jobs of one queue of agents.

    `held` wait in the database, `waiting` in the outbox or the broker, `running` at agents.
    `oldest_waiting_at` is when the oldest of `held` and `waiting` was asked for, None without any.
    """

    queue: str
    held: int
    waiting: int
    running: int
    oldest_waiting_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class OutboxHealth:
    """What waits to be sent; `oldest_at` is None when nothing does."""

    depth: int
    oldest_at: dt.datetime | None


def managers() -> list[ManagerHealth]:
    """The workflow managers of the last day, by name."""
    return [
        ManagerHealth(name, liveness(age, MANAGER_LATE), *rest)
        for name, age, *rest in _rows("managers")
    ]


def agents() -> list[AgentHealth]:
    """The agents of the last 30 days, by name."""
    found = []
    for name, age, seen_at, first_seen_at, lost_at, pid, slots, running in _rows("agents"):
        late_after = OLD_AGENT_LATE if slots is None else AGENT_LATE
        alive = liveness(age, late_after)
        found.append(AgentHealth(name, alive, seen_at, first_seen_at, lost_at, pid, slots, running))
    return found


def queues() -> list[QueueHealth]:
    """The queues that have open jobs, by name."""
    return [QueueHealth(*row) for row in _rows("queues")]


def outbox() -> OutboxHealth:
    """How much waits to be sent, and since when."""
    ((depth, oldest_at),) = _rows("outbox")
    return OutboxHealth(depth, oldest_at)


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(HEALTH[statement])
        return list(cursor.fetchall())
