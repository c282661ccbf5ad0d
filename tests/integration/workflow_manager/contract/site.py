"""A running workflow manager on a real broker and a real database, seen from both sides."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from tests.integration.broker.houses import StompHouse
from tests.integration.workflow_manager.contract.wire import Frame, PlainClient
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Event, Job, Run

# Where agents take jobs from; the plain client listens there.
JOB_QUEUES = (
    *("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY", "REDUCTION.HIMEM.DATA_READY"),
    *("REDUCTION_CATALOG.DATA_READY", "CALVERA.RAW.DATA_READY", "CALVERA.REDUCED.DATA_READY"),
    *("INTERSECT.RAW.DATA_READY", "INTERSECT.REDUCED.DATA_READY"),
)
SPELLINGS = ("", "/queue/")
HEARTBEAT = "/topic/SNS.COMMON.STATUS.WORKFLOW.0"

# A test's own transaction is never committed: what the manager shall see is written beside it.
_ADD_INSTRUMENT = """
INSERT INTO workflow_instrument (name, facility) VALUES (%(name)s, 'SNS') ON CONFLICT DO NOTHING
"""
_SET_ROUTE = """
INSERT INTO workflow_route (instrument_id, queue, targets, success_queues)
SELECT id, %(queue)s, %(to)s::text[], '{}' FROM workflow_instrument WHERE name = %(name)s
ON CONFLICT (instrument_id, queue) DO UPDATE SET targets = excluded.targets
"""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """What the database knows of one run."""

    instrument: str
    number: int

    @property
    def row(self) -> Run:
        return Run.objects.get(instrument__name=self.instrument, number=self.number)

    @property
    def exists(self) -> bool:
        return Run.objects.filter(instrument__name=self.instrument, number=self.number).exists()

    @property
    def events(self) -> list[Event]:
        wanted = Event.objects.filter(
            run__instrument__name=self.instrument, run__number=self.number
        )
        return list(wanted.order_by("id"))

    @property
    def queues(self) -> list[str]:
        """The run's history by the names of its queues."""
        return [event.queue for event in self.events]

    def event(self, queue: str) -> Event:
        (found,) = (event for event in self.events if event.queue == queue)
        return found

    def jobs(self) -> list[Job]:
        wanted = Job.objects.filter(run__instrument__name=self.instrument, run__number=self.number)
        return list(wanted.order_by("id"))

    def job(self, queue: str) -> Job:
        (found,) = (job for job in self.jobs() if job.queue == queue)
        return found

    @property
    def phases(self) -> dict[Step, Phase]:
        row = self.row
        return {step: row.phase(step) for step in Step}


class Site:
    """Data acquisition, agents and people, all through one plain client."""

    def __init__(
        self, house: StompHouse, client: PlainClient, database: psycopg.Connection[Any]
    ) -> None:
        self.broker = house.name
        self.house = house
        self.client = client
        self._numbers = count(1)
        self._database = database
        database.execute("LISTEN webmon")

    def new_run(self, instrument: str = "arcs") -> RunSeen:
        """A run that nobody has heard of."""
        return RunSeen(instrument, next(self._numbers))

    def send(self, destination: str, content: Mapping[str, Any] | str) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.client.send(destination, text)

    def route(self, instrument: str, **targets: Sequence[str]) -> None:
        """Routes by queue; the dots of a queue's name are two underscores here."""
        self._database.execute(_ADD_INSTRUMENT, {"name": instrument})
        for name, queues in targets.items():
            values = {"name": instrument, "queue": name.replace("__", "."), "to": list(queues)}
            self._database.execute(_SET_ROUTE, values)

    def await_queues(self, run: RunSeen, queues: Sequence[str]) -> None:
        """Wait until the run's history has these, in any order, and no others."""
        reached = self.await_true(lambda: len(run.queues) >= len(queues))
        assert reached, f"{run} has {run.queues}, not {queues}"
        assert sorted(run.queues) == sorted(queues)

    def await_true(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        """Ask again at every change that the database announces."""
        while not condition():
            told = list(self._database.notifies(timeout=seconds, stop_after=1))
            if not told:
                return condition()
        return True

    def jobs_of(self, run: RunSeen) -> list[Frame]:
        """What agents have received about a run, in order."""
        key = (run.instrument, run.number)
        return [frame for frame in list(self.client.frames) if _is_about(frame, key)]

    def await_job(self, run: RunSeen, queue: str) -> Frame:
        """The message of a job, as an agent gets it."""
        destination = f"/queue/{queue}"

        def found() -> list[Frame]:
            return [each for each in self.jobs_of(run) if each.destination == destination]

        assert self.client.wait_for(found), f"no job of {run} on {queue}"
        (frame,) = found()
        return frame

    def settle(self) -> None:
        """Return when all that was recorded so far has left and arrived.

        A last run goes through every job queue: what is older has arrived before it.
        """
        last = self.new_run("sentinel")
        self.route("sentinel", POSTPROCESS__DATA_READY=JOB_QUEUES)
        self.send("/queue/POSTPROCESS.DATA_READY", stc(last))
        arrived = self.client.wait_for(lambda: len(self.jobs_of(last)) >= len(JOB_QUEUES))
        assert arrived, f"only {self.jobs_of(last)} arrived"


def _is_about(frame: Frame, run: tuple[str, int]) -> bool:
    return frame.destination.removeprefix("/queue/") in JOB_QUEUES and frame.run == run


def stc(run: RunSeen, **changes: Any) -> dict[str, Any]:
    """What data acquisition says of a run: texts only, and an envelope of its own."""
    name = run.instrument.upper()
    return {
        "msg_type": "2687500289",
        "src_id": "STC_20480",
        "dest_id": "",
        "timestamp": "1771500000",
        "facility": "SNS",
        "instrument": name,
        "ipts": "IPTS-27800",
        "run_number": str(run.number),
        "data_file": f"/SNS/{name}/IPTS-27800/nexus/{name}_{run.number}.nxs.h5",
        "host": "arcs-daq1",
        **changes,
    }


def web(run: RunSeen, **changes: Any) -> dict[str, Any]:
    """What a button of the web monitor says of a run."""
    name = run.instrument.upper()
    return {
        "facility": "SNS",
        "instrument": run.instrument,
        "ipts": "IPTS-27800",
        "run_number": run.number,
        "data_file": f"/SNS/{name}/IPTS-27800/nexus/{name}_{run.number}.nxs.h5",
        "information": "Requested by abc",
        **changes,
    }


@contextmanager
def running_site(house: StompHouse, log: Path) -> Iterator[Site]:
    """The workflow manager as it is deployed, and a client at the other end of the broker."""
    process = house.process
    with (
        closing(PlainClient(process.port, process.user, process.password)) as client,
        psycopg.connect(_address(), autocommit=True) as database,
        _manager(house, log),
    ):
        for queue in JOB_QUEUES:
            client.subscribe(f"/queue/{queue}")
        client.subscribe(HEARTBEAT)
        site = Site(house, client, database)
        _await_subscriptions(site, log)
        yield site


@contextmanager
def _manager(house: StompHouse, log: Path) -> Iterator[None]:
    process = house.process
    environment = {
        **os.environ,
        "DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "AMQ_BROKER": json.dumps([["127.0.0.1", process.port]]),
        "WORKFLOW_USER": process.user,
        "WORKFLOW_PASS": process.password,
    }
    command = [sys.executable, "manage.py", "run_workflow_manager"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as manager,
    ):
        try:
            yield
        finally:
            manager.terminate()
            manager.wait(30)


def _await_subscriptions(site: Site, log: Path) -> None:
    """Topics keep nothing for those who come late: tell it until somebody hears it."""
    run = site.new_run("sentinel")
    told = {"run_number": str(run.number), "msg_type": "1", "reason": "hello", "ipts": "IPTS-1"}
    for _ in range(100):
        site.send("/topic/SNS.SENTINEL.APP.SMS", told)
        if site.await_true(lambda: run.exists, 0.5):
            return
    raise AssertionError(f"the manager does not listen:\n{log.read_text()}")


def _address() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: parameters[name] for name in wanted})
