"""What is on disk between two lives of the broker: persistent messages that wait in queues."""

import base64
import json
import os
from pathlib import Path

from workflow_manager.broker.embedded.queues import Message
from workflow_manager.broker.embedded.switchboard import Switchboard


def save(switchboard: Switchboard, path: Path) -> int:
    """Write atomically, one JSON line for each message; return how many."""
    lines = [
        _line(name, message)
        for name, queue in switchboard.queues.items()
        for message in queue.waiting
        if message.is_persistent
    ]
    draft = path.with_name(path.name + ".new")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return len(lines)


def load(switchboard: Switchboard, path: Path) -> int:
    """Put back what `save` wrote; return how many. No file is no message.

    Raises:
        ValueError: the file is not one of ours.
    """
    if not path.exists():
        return 0
    number = 0
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                _restore(switchboard, json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a message: {error!r}") from error
    return number


def _line(queue: str, message: Message) -> str:
    fields = {
        "queue": queue,
        "id": message.id,
        "destination": message.destination,
        "headers": message.headers,
        "body": base64.b64encode(message.body).decode(),
        "failures": message.failures,
        "redelivered": message.is_redelivered,
    }
    return json.dumps(fields) + "\n"


def _restore(switchboard: Switchboard, fields: dict[str, object]) -> None:
    headers = fields["headers"]
    if not isinstance(headers, dict):
        raise TypeError("headers are not an object")
    message = Message(
        id=str(fields["id"]),
        destination=str(fields["destination"]),
        headers={str(key): str(value) for key, value in headers.items()},
        body=base64.b64decode(str(fields["body"]), validate=True),
        is_persistent=True,
        failures=int(str(fields["failures"])),
        is_redelivered=bool(fields["redelivered"]),
    )
    switchboard.queue(str(fields["queue"])).put(message)
