"""Run the embedded broker: for the demo and tests on one machine; production is ActiveMQ.

Prints one line of JSON, {"host": ..., "port": ...}, when it is ready. SIGTERM or SIGINT stops it
and keeps persistent messages in the file given by --state; SIGUSR1 logs how full the queues are.
A kill -9 loses what is in memory.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from workflow_manager.broker.embedded import snapshot
from workflow_manager.broker.embedded.frames import Limits
from workflow_manager.broker.embedded.memory import MAX_BYTES, Memory
from workflow_manager.broker.embedded.server import Server, ServerConfig
from workflow_manager.broker.embedded.switchboard import MAX_DELIVERIES, Switchboard

log = logging.getLogger("workflow_manager.broker.embedded")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m workflow_manager.broker.embedded",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=61613, help="0 picks a free one")
    parser.add_argument(
        "--credentials", type=Path, help="JSON file {user: password}; without it all are let in"
    )
    parser.add_argument("--state", type=Path, help="file for persistent messages between two runs")
    parser.add_argument("--ready-file", type=Path, help="also write the line of JSON there")
    parser.add_argument("--max-message-bytes", type=int, default=Limits().body)
    parser.add_argument(
        "--max-memory-bytes",
        type=int,
        default=MAX_BYTES,
        help="bytes of all messages together, beyond which senders are refused",
    )
    parser.add_argument(
        "--max-deliveries",
        type=int,
        default=MAX_DELIVERIES,
        help="failed deliveries after which a message goes to the queue DLQ",
    )
    return parser.parse_args()


def _credentials(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise ValueError(f"{path}: not a JSON object of user and password")
    return content


def _announce(host: str, port: int, ready_file: Path | None) -> None:
    line = json.dumps({"host": host, "port": port})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".new")
        draft.write_text(line + "\n", encoding="utf-8")
        draft.replace(ready_file)


def _log_depths(switchboard: Switchboard) -> None:
    memory = switchboard.memory
    log.info("%d of %d bytes are taken", memory.used, memory.limit)
    for name, queue in sorted(switchboard.queues.items()):
        log.info("%s: %d waiting, %d readers", name, len(queue.waiting), len(queue.readers))


async def _serve(arguments: argparse.Namespace) -> None:
    switchboard = Switchboard(arguments.max_deliveries, Memory(arguments.max_memory_bytes))
    if arguments.state is not None:
        log.info(
            "%d messages from %s", snapshot.load(switchboard, arguments.state), arguments.state
        )
    limits = Limits(body=arguments.max_message_bytes)
    credentials = _credentials(arguments.credentials)
    config = ServerConfig(arguments.host, arguments.port, credentials, limits)
    server = Server(switchboard, config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, _log_depths, switchboard)
    host, port = await server.start()
    _announce(host, port, arguments.ready_file)
    await stop.wait()
    await server.stop()
    if arguments.state is not None:
        log.info("%d messages to %s", snapshot.save(switchboard, arguments.state), arguments.state)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
