"""What a broker says of a message that it gave up on: for whom it was, and why.

ActiveMQ Classic keeps the message's number and tells `original-destination`; why, only when the
time ran out or a client of another protocol told it. What a STOMP client refuses is dead at once.
Artemis gives a new number, and tells the old one and the address without its prefix. Neither tells
a STOMP client how often it tried. (Seen with 5.17.2 and 2.44.0.) `embedded` tells what Classic
does, and the reason with the number of attempts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from workflow_manager.domain import destinations as names

# Values of `_AMQ_ORIG_ROUTING_TYPE`.
_MULTICAST = "0"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a broker gave up on; `reason` is one sentence.

    `destination` and `message_id` are those of its first delivery, as far as the broker tells.
    """

    destination: str
    message_id: str
    reason: str


def opened(destination: str, message_id: str, headers: Mapping[str, str]) -> DeadLetter:
    """What stands on a message that was delivered from a dead letter queue."""
    origin = _origin(headers)
    if not origin:
        name = names.bare_name(destination)
        reason = f"It lay in {name}, and nothing tells for whom it was."
        return DeadLetter(destination, message_id, reason)
    return DeadLetter(origin, _number(message_id, headers), _reason(origin, headers))


def _origin(headers: Mapping[str, str]) -> str:
    address = headers.get("_AMQ_ORIG_ADDRESS") or headers.get("_AMQ_ORIG_QUEUE")
    if not address:
        return headers.get("original-destination", "")
    if address.startswith((names.QUEUE_PREFIX, names.TOPIC_PREFIX)):
        return address
    is_topic = headers.get("_AMQ_ORIG_ROUTING_TYPE") == _MULTICAST
    return (names.TOPIC_PREFIX if is_topic else names.QUEUE_PREFIX) + address


def _number(message_id: str, headers: Mapping[str, str]) -> str:
    """The first delivery's, so that a replay is the same message to us."""
    number = headers.get("_AMQ_ORIG_MESSAGE_ID")
    if not number:
        return message_id
    timestamp = headers.get("timestamp")
    return f"{number}@{timestamp}" if timestamp else number


def _reason(origin: str, headers: Mapping[str, str]) -> str:
    name = names.bare_name(origin)
    if headers.get("_AMQ_ACTUAL_EXPIRY") or headers.get("originalExpiration", "0") != "0":
        return f"It expired in {name}: nobody took it in time."
    count = headers.get("JMSXDeliveryCount", "")
    tried = f" after {count} deliveries" if count.isascii() and count.isdigit() else ""
    told = headers.get("dlqDeliveryFailureCause") or headers.get("dead-letter-reason", "")
    cause = told.strip()
    if cause:
        return f"The broker gave up{tried}; about {name} it says: {cause}"
    return (
        f"The broker gave up{tried}: a reader of {name} refused it, or several readers went away "
        "while they had it."
    )
