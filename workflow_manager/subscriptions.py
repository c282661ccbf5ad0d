"""What the workflow manager reads, and how it follows when that changes in the database."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from threading import Event
from typing import Protocol

import psycopg
from django.db import Error as DatabaseError
from django.db import connection

from workflow_manager import queues
from workflow_manager.broker.ports import Subscription
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES
from workflow_manager.doorbell import Doorbell

log = logging.getLogger(__name__)

LOOK_AGAIN = 30.0  # seconds, in case a notice was lost


def always(batch: int, facilities: Sequence[str]) -> list[Subscription]:
    """Every queue of the workflow, dead letters, and the run messages of all instruments."""
    wanted = [Subscription(names.queue(name), batch) for name in INPUT_QUEUES]
    wanted += [
        Subscription(names.queue(name), batch, is_optional=True)
        for name in names.DEAD_LETTER_QUEUES
    ]
    return wanted + [Subscription(topic, batch) for topic in names.sms_topics(facilities)]


class Reader(Protocol):
    """What is told to read something else; a `broker.consumer.Consumer`."""

    def update(self, subscriptions: Sequence[Subscription]) -> None: ...
    @property
    def refused(self) -> Mapping[str, str]: ...


class Follower:
    """Tells the reader what sites have added, within a second of the change.

    While the database is away the reader keeps what it has. What it does not get is written down,
    so that pages can say so.
    """

    def __init__(
        self,
        reader: Reader,
        batch: int,
        facilities: Sequence[str],
        *,
        look_again: float = LOOK_AGAIN,
    ) -> None:
        self._reader = reader
        self._batch = batch
        self._always = always(batch, facilities)
        self._look_again = look_again
        self._unfit: Mapping[str, str] = {}
        self._reported: Mapping[str, str] | None = None

    def run(self, stop: Event) -> None:
        """Follow until `stop` is set."""
        while not stop.is_set():
            try:
                with closing(Doorbell(_database(), queues.ROUTING)) as doorbell:
                    self._follow(doorbell, stop)
            except (DatabaseError, psycopg.Error) as error:
                log.warning("The queues of the site stay as they are: %s", error)
                connection.close()
                stop.wait(1)
        connection.close()

    def _follow(self, doorbell: Doorbell, stop: Event) -> None:
        due = 0.0
        while not stop.is_set():
            if time.monotonic() >= due:
                self._look()
                due = time.monotonic() + self._look_again
            self._report()
            if doorbell.wait(0.5):
                due = 0.0

    def _look(self) -> None:
        site = queues.site_inputs()
        self._unfit = site.unfit
        added = [Subscription(names.queue(name), self._batch) for name in site.names]
        self._reader.update([*self._always, *added])

    def _report(self) -> None:
        refused = {**self._unfit, **self._reader.refused}
        if refused == self._reported:
            return
        for destination in refused.keys() - (self._reported or {}).keys():
            log.error("Not read: %s: %s", destination, refused[destination])
        queues.report_refused(refused)
        self._reported = refused


def _database() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    known = {name: parameters[name] for name in wanted if parameters.get(name)}
    return psycopg.conninfo.make_conninfo(**known)
