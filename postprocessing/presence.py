"""How others know that the agent is there: heartbeats, and answers to pings."""

import logging
import os
from pathlib import Path

from postprocessing.request import read
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.protocol.codec import encode

log = logging.getLogger(__name__)

PERIOD = 30.0  # seconds between two heartbeats
LIVENESS_PERIOD = 5.0  # seconds between two signs of life on this machine


def show_life(file: Path | None) -> None:
    """Touch the file that a health check of this machine looks at; a full disk stops nothing."""
    if file is None:
        return
    try:
        file.touch()
    except OSError:
        log.exception("the liveness file cannot be written")


def heartbeat(destination: str, agent: str, slots: int) -> OutgoingMessage:
    return OutgoingMessage(destination, encode(_card(agent, slots)), persistent=False)


def answer(ping: bytes, agent: str, slots: int) -> OutgoingMessage | None:
    """The answer to a ping; None if it does not say where to.

    Raises:
        UnreadableBodyError: the ping is no JSON object.
    """
    content = read(ping)
    destination = content.get("reply_to")
    if not isinstance(destination, str) or not destination:
        return None
    reply = encode({**content, **_card(agent, slots)})
    return OutgoingMessage(destination, reply, persistent=False)


def _card(agent: str, slots: int) -> dict[str, str]:
    """The contract's keys; `slots` is ours, and says that pings are answered at work too."""
    card = {"src_name": agent, "role": "postprocessing", "status": "0", "pid": str(os.getpid())}
    return {**card, "slots": str(slots)}
