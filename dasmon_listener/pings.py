"""Asks now and then who is there, and tells that we are."""

import logging
import os
import threading
import time

from dasmon_listener.domain.topics import COMMON, Topic, What
from dasmon_listener.intake import Intake, Taken
from dasmon_listener.protocol.messages import StatusValues
from workflow_manager.broker.ports import BrokerError, OutgoingMessage, Publisher
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

log = logging.getLogger(__name__)

PERIOD = 120.0  # seconds
ANSWERS_TO = "/topic/SNS.COMMON.STATUS.ACK"

_OURS = Topic("SNS", COMMON, What.VALUES)


def send_pings(
    publisher: Publisher, intake: Intake, stop: threading.Event, period: float = PERIOD
) -> None:
    """Each `period` seconds until `stop` is set; a broker that is away is asked the next time."""
    while not stop.is_set():
        now = time.time()
        intake.put([Taken(own_heartbeat(), now, names.PING, b"")], [], now)
        try:
            publisher.publish([ping(now)])
        except BrokerError as error:
            log.warning("No ping was sent: %s", error)
        stop.wait(period)


def ping(at: float) -> OutgoingMessage:
    """The question who is there, asked at `at` in seconds since 1970."""
    body = encode({"reply_to": ANSWERS_TO, "request_time": at})
    return OutgoingMessage(names.PING, body, persistent=False)


def own_heartbeat() -> StatusValues:
    """Our process number, which has a history: it shows when we were started."""
    return StatusValues(_OURS, None, {"system_dasmon_listener_pid": str(os.getpid())})
