"""All instruments together, and the broker that may be away."""

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from demo.simulator import messages
from demo.simulator.cycle import Cycle, Rhythm
from demo.simulator.database import PvDatabase
from demo.simulator.files import RunFile, newest_run_number, write_run
from demo.simulator.measurement import Plan
from demo.simulator.programme import FIRST_RUN, INSTRUMENTS, plan_run
from workflow_manager.broker.ports import BrokerError, OutgoingMessage, Publisher

log = logging.getLogger(__name__)

FIRST_END_S = 8.0
STAGGER_S = 6.0
TICK_S = 0.25
RETRY_AFTER = timedelta(seconds=3)
PAST = timedelta(hours=8)


def cycles(facility_root: Path, seed: int, pace: float = 1.0) -> list[Cycle]:
    """A cycle for each instrument; `pace` 2 makes runs half as long."""
    newest = {name: newest_run_number(name, facility_root) for name in INSTRUMENTS}
    return [
        Cycle(
            instrument=instrument,
            next_run=(newest[instrument] or FIRST_RUN[instrument] - 1) + 1,
            untold_past=timedelta(0) if newest[instrument] else PAST,
            rhythm=_rhythm(FIRST_END_S + STAGGER_S * place, pace),
            make_plan=_planner(instrument),
            write=_writer(facility_root, seed),
            chance=random.Random(f"{seed} {instrument}"),
        )
        for place, instrument in enumerate(INSTRUMENTS)
    ]


def _rhythm(first: float, pace: float) -> Rhythm:
    return Rhythm(first / pace, 20.0 / pace, 40.0 / pace, 4.0 / pace)


def _planner(instrument: str) -> Callable[[int, float], Plan]:
    return lambda run_number, seconds: plan_run(instrument, run_number, seconds)


def _writer(facility_root: Path, seed: int) -> Callable[[Plan, datetime], RunFile]:
    return lambda plan, ended_at: write_run(
        plan.instrument,
        plan.run_number,
        facility_root,
        seed,
        ended_at=ended_at,
        duration_s=plan.duration_s,
    )


class Facility:
    """Steps the cycles and publishes; DATA_READY stays in hand until the broker has confirmed."""

    def __init__(
        self,
        instruments: Sequence[Cycle],
        publisher: Publisher,
        database: PvDatabase | None = None,
    ) -> None:
        self._instruments = instruments
        self._publisher = publisher
        self._database = database
        self._quiet_until: datetime | None = None

    def step(self, now: datetime) -> None:
        """Everything that is due at `now`, on all instruments."""
        due = [message for cycle in self._instruments for message in cycle.step(now)]
        if self._database is not None:
            for cycle in self._instruments:
                self._tell_variables(cycle, self._database, now)
        if self._quiet_until is not None and now < self._quiet_until:
            return  # the broker is away: values of the moment are worth nothing later
        if self._publish(due, now):
            self._publish_unconfirmed(now)

    @staticmethod
    def _tell_variables(cycle: Cycle, database: PvDatabase, now: datetime) -> None:
        moments = cycle.process_variables(now)
        if moments and database.update(cycle.instrument, moments, cycle.controls.names, now):
            cycle.untold_past = timedelta(0)

    def _publish_unconfirmed(self, now: datetime) -> None:
        for cycle in self._instruments:
            while cycle.unconfirmed:
                body = cycle.unconfirmed[0]
                if not self._publish([messages.data_ready_message(body)], now):
                    return
                del cycle.unconfirmed[0]
                log.info("run %s %s is ready", body["instrument"], body["run_number"])

    def _publish(self, outgoing: Sequence[OutgoingMessage], now: datetime) -> bool:
        if not outgoing:
            return True
        try:
            self._publisher.publish(outgoing)
        except BrokerError as error:
            self._quiet_until = now + RETRY_AFTER
            log.warning("broker: %s; trying again", error)
            return False
        self._quiet_until = None
        return True

    def run(self, stopped: Event) -> None:
        """Until `stopped` is set."""
        while not stopped.wait(TICK_S):
            self.step(datetime.now(UTC))
        self._publisher.close()
        if self._database is not None:
            self._database.close()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the instruments are to the broker, and the address of the database, if there is one."""

    user: str
    password: str
    database: str | None


def read_credentials(path: Path) -> Credentials:
    """From a JSON file.

    Raises:
        KeyError: the file lacks the user or the password.
    """
    content = json.loads(path.read_text())
    database = content.get("database")
    return Credentials(
        str(content["user"]), str(content["password"]), str(database) if database else None
    )
