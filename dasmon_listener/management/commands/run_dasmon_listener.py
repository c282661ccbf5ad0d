"""Receives what instruments report: values, signs of life, alarms and PVs."""

import threading
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dasmon_listener import daemon
from dasmon_listener.config import ListenerConfig
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.daemon import stop_on_signals
from workflow_manager.kernel import environment, logs


class Command(BaseCommand):
    help = __doc__
    # They import every page: that takes a second, in which nobody listens.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        logs.start("dasmon_listener")
        try:
            config = environment.read(ListenerConfig)
        except environment.ConfigurationError as error:
            raise CommandError(str(error)) from error
        broker = BrokerConfig(
            config.brokers, config.user, config.password, client_name="dasmon_listener"
        )
        stop = threading.Event()
        stop_on_signals(stop)
        with closing(StompPublisher(broker)) as publisher:
            daemon.run(StompSubscriber(broker), publisher, config, stop)
