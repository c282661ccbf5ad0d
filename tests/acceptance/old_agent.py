"""An agent as they are in the field: `old_agent.py HOST PORT USER PASSWORD NAME`.

It acknowledges a job first, reports that it started with neither the job's number nor a key
`agent`, and then works in its receiving thread, which answers no pings meanwhile. Its heartbeat
comes each 30 s. Here its work never ends.
"""

import json
import os
import sys
import threading
import time
from typing import Any

import stomp

HEARTBEAT = "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"
PING = "/topic/SNS.COMMON.STATUS.PING"
JOBS = "/queue/REDUCTION.DATA_READY"
KEYS = ("facility", "instrument", "ipts", "run_number", "data_file")


class Listener(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self, connection: Any, card: dict[str, str]) -> None:
        self.connection = connection
        self.card = card

    def on_message(self, frame: Any) -> None:
        content = json.loads(frame.body)
        headers = frame.headers
        if headers["destination"].endswith(".PING"):
            reply = json.dumps({**content, **self.card})
            self.connection.send(content["reply_to"], reply)
            self.connection.ack(headers["message-id"], headers["subscription"])
            return
        self.connection.ack(headers["message-id"], headers["subscription"])
        report = {key: content[key] for key in KEYS} | {"information": self.card["src_name"]}
        self.connection.send("/queue/REDUCTION.STARTED", json.dumps(report))
        threading.Event().wait()


def main() -> None:
    host, port, user, password, name = sys.argv[1:]
    connection = stomp.Connection11([(host, int(port))])
    pid = str(os.getpid())
    card = {"src_name": name, "role": "postprocessing", "status": "0", "pid": pid}
    connection.set_listener("agent", Listener(connection, card))
    connection.connect(user, password, wait=True)
    for place in (JOBS, PING):
        connection.subscribe(place, place, ack="client", headers={"activemq.prefetchSize": "1"})
    while True:
        connection.send(HEARTBEAT, json.dumps(card))
        time.sleep(30)


if __name__ == "__main__":
    main()
