"""What kills: a seeded list of victims and moments, and the hand that carries it out.

It does not wait until the last victim has recovered; only a victim that does not live is waited
for, because nobody can be killed twice.
"""

import enum
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import psycopg

from tests.broker_process import BrokerProcess
from tests.facility import Facility

log = logging.getLogger(__name__)

_LOOK = 0.1  # seconds between two looks whether a victim lives
_PATIENCE = 120.0  # seconds for a victim to live again
_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start, pid
"""
_IN_FLIGHT = """
SELECT (SELECT count(*) FROM workflow_run),
    (SELECT count(*) FROM workflow_outbox),
    count(*) FILTER (WHERE phase = 1), count(*) FILTER (WHERE phase = 2)
FROM workflow_job
"""


class Victim(enum.StrEnum):
    MANAGER = "workflow_manager"
    AGENT = "agent"
    BROKER = "broker"
    BACKEND = "PostgreSQL backend"
    SERVER = "PostgreSQL server"


@dataclass(frozen=True, slots=True)
class Fault:
    """`victim` is to be killed `at` seconds after the storm began."""

    at: float
    victim: Victim


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that happened: the process with that number was killed."""

    victim: Victim
    pid: int
    at: datetime
    in_flight: str


def plan(faults: int, gap: float, victims: Sequence[Victim], chance: random.Random) -> list[Fault]:
    """`faults` faults in random order, each victim equally often, `gap` seconds apart in mean."""
    order = [victims[number % len(victims)] for number in range(faults)]
    chance.shuffle(order)
    at = 0.0
    planned = []
    for victim in order:
        at += chance.uniform(0.1 * gap, 1.9 * gap)
        planned.append(Fault(at, victim))
    return planned


class Nemesis:
    """Kills processes of a facility; what it kills is started again by those who look after it."""

    def __init__(self, facility: Facility, chance: random.Random, stop: threading.Event) -> None:
        self._facility = facility
        self._chance = chance
        self._stop = stop
        self._pid_of: dict[Victim, Callable[[], int | None]] = {
            Victim.MANAGER: lambda: self._supervised("workflow_manager"),
            Victim.AGENT: lambda: self._supervised("agent"),
            Victim.SERVER: lambda: self._supervised("database"),
            Victim.BACKEND: self._backend,
            Victim.BROKER: self._broker,
        }

    def strike(self, fault: Fault) -> Blow:
        """Kill the victim as soon as it lives.

        Raises:
            TimeoutError: it did not come to life again.
        """
        in_flight = self._in_flight()
        pid = self._living(fault.victim)
        at = datetime.now(UTC)
        os.kill(pid, signal.SIGKILL)
        return Blow(fault.victim, pid, at, in_flight)

    def await_successor(self, blow: Blow) -> float:
        """Seconds from a blow until another process is there in place of the one that was killed.

        Raises:
            TimeoutError: none came.
        """
        self._living(blow.victim, other_than=blow.pid)
        return (datetime.now(UTC) - blow.at).total_seconds()

    def _living(self, victim: Victim, other_than: int | None = None) -> int:
        deadline = time.monotonic() + _PATIENCE
        while (pid := self._pid_of[victim]()) in (None, other_than):
            if time.monotonic() > deadline or self._stop.wait(_LOOK):
                raise TimeoutError(f"{victim} did not live again within {_PATIENCE:g} s")
        assert pid is not None
        return pid

    def _supervised(self, name: str) -> int | None:
        return _if_alive(self._facility.supervisor.pids()[name])

    def _broker(self) -> int | None:
        broker = self._facility.broker
        return _if_alive(broker.pid) if broker is not None else None

    def _backend(self) -> int | None:
        try:
            pids = [pid for (pid,) in self._facility.query(_BACKENDS)]
        except psycopg.OperationalError:
            return None
        return self._chance.choice(pids) if pids else None

    def _in_flight(self) -> str:
        try:
            ((runs, outbox, requested, started),) = self._facility.query(_IN_FLIGHT)
        except psycopg.OperationalError:
            return "the database was away"
        return f"{runs} runs; {outbox} to send, {requested} requested, {started} started"


def _if_alive(pid: int | None) -> int | None:
    """The number of a child of ours that lives, and of nothing else."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        is_ours = process.ppid() == os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return pid if is_ours else None


class BrokerKeeper:
    """Starts a broker again whenever it is dead, as systemd would."""

    def __init__(self, broker: BrokerProcess, stop: threading.Event) -> None:
        self._broker = broker
        self._stop = stop
        self._thread = threading.Thread(target=self._keep, name="broker keeper")

    def __enter__(self) -> "BrokerKeeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(0.2):
            if _if_alive(self._broker.pid) is not None:
                continue
            self._broker.kill()
            try:
                self._broker.start()
            except RuntimeError:
                log.warning("the broker died while it was starting; once more")
