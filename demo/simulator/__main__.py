"""python -m demo.simulator: four instruments measure until they are told to stop."""

import argparse
import logging
import signal
from pathlib import Path
from threading import Event

from demo.simulator.database import PvDatabase
from demo.simulator.facility import Facility, cycles, read_credentials
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.stomp_broker import StompPublisher


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = options.broker.rpartition(":")
    known = read_credentials(options.credentials)
    config = BrokerConfig(((host, int(port)),), known.user, known.password, client_name="simulator")
    database = PvDatabase(known.database) if known.database else None
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    instruments = cycles(options.facility_root, options.seed, options.pace)
    Facility(instruments, StompPublisher(config), database).run(stopped)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.simulator", description=__doc__)
    parser.add_argument("--broker", required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--credentials",
        required=True,
        type=Path,
        help='JSON: {"user": …, "password": …, "database": …}',
    )
    parser.add_argument("--facility-root", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1.0, help="2 makes runs half as long")
    return parser.parse_args()


if __name__ == "__main__":
    main()
