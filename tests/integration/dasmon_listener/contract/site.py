"""A running listener on a real broker and a real database, seen from both sides."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import class_row

from tests.integration.broker.houses import StompHouse
from tests.integration.workflow_manager.contract.wire import PlainClient

PING = "/topic/SNS.COMMON.STATUS.PING"
# What the replaced system's own configuration listens to, and what it listens to without one.
SHIPPED_TOPICS = (
    *("/topic/SNS.COMMON.STATUS.WORKFLOW.0", "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"),
    *(
        f"/topic/{facility}.{rest}"
        for facility in ("SNS", "HFIR")
        for rest in (
            *("*.APP.DASMON", "*.STATUS.DASMON", "*.SIGNAL.DASMON", "*.APP.SMS", "*.STATUS.SMS"),
            *("*.STATUS.POSTPROCESS", "COMMON.STATUS.ACK", "*.STATUS.PVSD"),
        )
    ),
)
DEFAULT_TOPICS = tuple(f"/topic/ADARA.{kind}.DASMON.0" for kind in ("APP", "STATUS", "SIGNAL"))
ADARA_INSTRUMENT = "adarabeam"

_LATEST = """
SELECT latest.value, latest.text, latest.at, latest.received_at, series.kind, (
    SELECT count(*) FROM dasmon_sample AS sample WHERE sample.series_id = series.id
) AS samples
FROM dasmon_series AS series
JOIN dasmon_latest AS latest ON latest.series_id = series.id
JOIN workflow_instrument AS instrument ON instrument.id = series.instrument_id
WHERE instrument.name = %s AND series.name = %s
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest value of one name, and how many samples there are."""

    value: float | None
    text: str | None
    at: datetime
    received_at: datetime
    kind: int
    samples: int

    @property
    def words(self) -> str:
        """As the replaced system's table had it."""
        return self.text if self.text is not None else f"{self.value:.15g}"


class Site:
    """Data acquisition and agents at one end of the broker, the tables at the other."""

    def __init__(
        self, house: StompHouse, client: PlainClient, database: psycopg.Connection[Any]
    ) -> None:
        self.broker = house.name
        self.client = client
        self.database = database
        self._numbers = count(1)
        database.execute("LISTEN webmon")

    def new_instrument(self) -> str:
        """One that nobody has heard of."""
        return f"{self.broker[:3]}{next(self._numbers)}".lower()

    def send(self, destination: str, content: Mapping[str, Any] | str | bytes) -> None:
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        self.client.send(destination, text, persistent=False)  # type: ignore[arg-type]

    def latest(self, instrument: str, name: str) -> Seen | None:
        with self.database.cursor(row_factory=class_row(Seen)) as cursor:
            return cursor.execute(_LATEST, (instrument, name)).fetchone()

    def await_latest(self, instrument: str, name: str, words: str | None = None) -> Seen:
        """The value, when it is there; `words` says which one."""

        def found() -> bool:
            seen = self.latest(instrument, name)
            return seen is not None and (words is None or seen.words == words)

        assert self.await_true(found), f"{name} of {instrument}: {self.latest(instrument, name)}"
        seen = self.latest(instrument, name)
        assert seen is not None
        return seen

    def await_true(self, condition: Callable[[], bool], seconds: float = 20) -> bool:
        """Ask again at every change that the database announces."""
        while not condition():
            if not list(self.database.notifies(timeout=seconds, stop_after=1)):
                return condition()
        return True

    def settle(self, destination: str, instrument: str) -> None:
        """Return when all that was sent to this destination before has been handled."""
        sentinel = f"sentinel_{next(self._numbers)}"
        kind = "status" if ".STATUS." in destination else "values"
        body = {"src_name": sentinel, "status": "0"} if kind == "status" else {sentinel: "1"}
        if ".SIGNAL." in destination:
            self.send(destination, {"sig_name": sentinel, "sig_level": "0"})
            assert self.await_true(lambda: bool(self.alarms(instrument, sentinel)))
            return
        self.send(destination, body)
        self.await_latest(instrument, f"system_{sentinel}" if kind == "status" else sentinel)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self.database.execute(statement, values).fetchall()

    def alarms(self, instrument: str, name: str) -> list[tuple[Any, ...]]:
        """Level, source, message, repeats, whether it is over: of every occurrence."""
        return self.rows(
            "SELECT level, source, message, repeats, over_at IS NOT NULL FROM dasmon_alarm AS alarm"
            " JOIN workflow_instrument AS instrument ON instrument.id = alarm.instrument_id"
            " WHERE instrument.name = %s AND alarm.name = %s ORDER BY alarm.id",
            instrument,
            name,
        )

    def component(self, instrument: str, name: str) -> tuple[Any, ...] | None:
        """Status, process number, whether it answered a ping."""
        found = self.rows(
            "SELECT status, pid, answered_at IS NOT NULL FROM dasmon_component AS component"
            " JOIN workflow_instrument AS instrument ON instrument.id = component.instrument_id"
            " WHERE instrument.name = %s AND component.name = %s",
            instrument,
            name,
        )
        return found[0] if found else None

    def unread(self, destination: str) -> list[tuple[str, int]]:
        """The reasons, and how often each."""
        bare = destination.removeprefix("/topic/")
        return self.rows(
            "SELECT reason, times FROM dasmon_unread_message WHERE destination IN (%s, %s)",
            bare,
            f"/topic/{bare}",
        )


@contextmanager
def running_site(house: StompHouse, log: Path, topics: Sequence[str]) -> Iterator[Site]:
    """The listener as it is deployed, and a client at the other end of the broker."""
    process = house.process
    address = psycopg.conninfo.make_conninfo(
        **{
            name: value
            for name, value in connection.get_connection_params().items()
            if name in ("dbname", "user", "password", "host", "port")
        }
    )
    with (
        closing(PlainClient(process.port, process.user, process.password)) as client,
        psycopg.connect(address, autocommit=True) as database,
        running_listener(house, log, topics),
    ):
        client.subscribe(PING)
        site = Site(house, client, database)
        _await_subscriptions(site, log)
        yield site


@contextmanager
def running_listener(house: StompHouse, log: Path, topics: Sequence[str]) -> Iterator[None]:
    process = house.process
    environment = {
        **os.environ,
        "DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "AMQ_BROKER": json.dumps([["127.0.0.1", process.port]]),
        "ICAT_USER": process.user,
        "ICAT_PASS": process.password,
        "FACILITIES": "SNS,HFIR,ESS",
        "ADARA_INSTRUMENT": ADARA_INSTRUMENT,
        "LISTENER_NEW_INSTRUMENTS": "1000",
        **({"AMQ_QUEUE": json.dumps(topics)} if topics else {}),
    }
    command = [sys.executable, "manage.py", "run_dasmon_listener"]
    with (
        log.open("ab") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as listener,
    ):
        try:
            yield
        finally:
            listener.terminate()
            listener.wait(30)


def _await_subscriptions(site: Site, log: Path) -> None:
    """Topics keep nothing for those who come late: tell it until somebody hears it."""
    for topic in ("SNS.SENTINEL.APP.DASMON", "HFIR.SENTINEL.STATUS.PVSD"):
        for _ in range(100):
            name = topic.replace(".", "_").lower()
            is_status = ".STATUS." in topic
            body = {"src_name": name, "status": "0"} if is_status else {name: "0"}
            site.send(f"/topic/{topic}", body)
            wanted = f"system_{name}" if is_status else name
            if site.await_true(lambda n=wanted: bool(site.latest("sentinel", n)), 0.5):  # type: ignore[misc]
                break
        else:
            raise AssertionError(f"the listener does not listen: {log.read_text()}")
