"""One line per log record, in UTC, on standard output; the supervisor keeps the files."""

import logging
import sys
import time


def start(process: str, level: str = "INFO") -> None:
    """Send all log records of this process to standard output."""
    formatter = logging.Formatter(
        fmt=f"%(asctime)s.%(msecs)03dZ {process} %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The STOMP client logs every frame; its failures reach us as exceptions.
    logging.getLogger("stomp.py").setLevel(logging.CRITICAL)
