"""Receives every message about runs, records it, and sends jobs to agents."""

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from workflow_manager import daemon
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.config import WorkflowConfig
from workflow_manager.kernel import environment, logs


class Command(BaseCommand):
    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        logs.start("workflow_manager")
        try:
            config = environment.read(WorkflowConfig)
        except environment.ConfigurationError as error:
            raise CommandError(str(error)) from error
        broker = BrokerConfig(
            config.brokers, config.user, config.password, client_name="workflow_manager"
        )
        run(broker, PurePosixPath(config.facility_root), config.batch, config.facilities)


def run(
    broker: BrokerConfig, facility_root: PurePosixPath, batch: int, facilities: Sequence[str]
) -> None:
    """Run until a signal asks to stop."""
    stop = threading.Event()
    daemon.stop_on_signals(stop)
    with (
        closing(StompPublisher(broker)) as jobs,
        closing(StompPublisher(broker)) as heartbeats,
        daemon.side_threads(jobs, heartbeats, _database(), stop),
    ):
        daemon.receive(StompSubscriber(broker), facility_root, batch, stop, facilities)


def _database() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: parameters[name] for name in wanted})
