"""Receives every message about runs, records it, and sends jobs to agents."""

import threading
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from workflow_manager import daemon, dispatch, housekeeping, presence, relay
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.config import WorkflowConfig
from workflow_manager.domain.presence import Presence
from workflow_manager.kernel import environment, logs
from workflow_manager.processes import Tally


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
        run(broker, config)


def run(broker: BrokerConfig, config: WorkflowConfig) -> None:
    """Run until a signal asks to stop."""
    stop = threading.Event()
    daemon.stop_on_signals(stop)
    receiver, tally, heard = StompSubscriber(broker), Tally(), Presence()
    chores = housekeeping.chores(heard, tally, lambda: receiver.is_connected, config.recoveries)
    with (
        closing(StompPublisher(broker)) as jobs,
        closing(StompPublisher(broker)) as heartbeats,
        closing(StompPublisher(broker)) as answers,
        daemon.side_threads(
            {
                "relay": lambda: relay.run(relay.Relay(jobs), _database(), stop),
                "heartbeat": lambda: presence.send_heartbeats(heartbeats, stop),
                "presence": lambda: presence.Listener(heard, answers).listen(
                    StompSubscriber(broker), stop
                ),
                "housekeeping": lambda: housekeeping.keep(chores, stop),
                "dispatch": lambda: dispatch.run(_database(), stop),
            },
            stop,
        ),
    ):
        root = PurePosixPath(config.facility_root)
        daemon.receive(
            receiver, root, config.batch, stop, tally=tally, facilities=config.facilities
        )


def _database() -> str:
    parameters = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: parameters[name] for name in wanted})
