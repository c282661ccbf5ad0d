"""Uniquely numbered runs, announced over some time by a sender that does not give up.

A data acquisition repeats an announcement that the broker did not confirm; so does this sender,
with the same body. The manifest tells how often each one was tried: a broker that died between
taking a message and saying so has it twice.
"""

import random
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo.endpoints import BrokerEndpoint
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import BrokerError, OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

INSTRUMENT = "STORM"
PROPOSAL = "IPTS-1"
# What it did is told at once, by one write each; an ending that is told is the very last thing.
SCRIPT = """
import os, sys, time
diary = os.open(os.path.join(sys.argv[2], os.path.basename(sys.argv[1]) + ".diary"),
                os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(diary, b"began %.6f\\n" % time.time())
with open(sys.argv[1]) as data:
    time.sleep(float(data.read()))
os.write(diary, b"ended %.6f\\n" % time.time())
os._exit(0)
"""
_PAUSE = 0.25  # seconds, before an announcement is tried again
_TICK = 0.05
_SHORT, _LONG = 0.02, 1.5  # seconds that a script takes
_LONG_SHARE = 0.04


@dataclass(slots=True)
class Announcement:
    """One line of the manifest; `tries` counts how often it was sent.

    One that `is_repeated` goes twice, as when the broker died after it took it and before it said
    so: the sender cannot tell these cases apart.
    """

    number: int
    due: float
    seconds: float
    is_repeated: bool = False
    tries: int = 0
    confirmed_at: datetime | None = None

    @property
    def data_file(self) -> str:
        return f"/SNS/{INSTRUMENT}/{PROPOSAL}/nexus/{INSTRUMENT}_{self.number}.nxs.h5"

    def message(self) -> OutgoingMessage:
        body = {
            "facility": "SNS",
            "instrument": INSTRUMENT,
            "ipts": PROPOSAL,
            "run_number": str(self.number),
            "data_file": self.data_file,
            "src_id": "STC_20480",
            "timestamp": str(1_771_500_000 + self.number),
        }
        return OutgoingMessage(names.queue(names.POSTPROCESS_DATA_READY), encode(body))


def manifest(
    runs: int, seconds: float, repeated: float, chance: random.Random
) -> list[Announcement]:
    """Runs 1 to `runs`, due evenly over `seconds`; a few have scripts that take long.

    A share `repeated` of them is announced twice on purpose.
    """
    return [
        Announcement(
            number,
            due=seconds * number / runs,
            seconds=_LONG if chance.random() < _LONG_SHARE else _SHORT,
            is_repeated=chance.random() < repeated,
        )
        for number in range(1, runs + 1)
    ]


def write_files(root: Path, announcements: Sequence[Announcement]) -> None:
    """The data files, which tell the script how long it shall take."""
    for each in announcements:
        file = Path(f"{root}{each.data_file}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(each.seconds), encoding="utf-8")


class Sender:
    """Announces what is due, in order, each until the broker has confirmed it."""

    def __init__(self, broker: BrokerEndpoint, announcements: Sequence[Announcement]) -> None:
        self._broker = BrokerConfig(((broker.host, broker.port),), broker.user, broker.password)
        self._announcements = announcements
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="sender")

    @property
    def confirmed(self) -> int:
        return sum(each.confirmed_at is not None for each in self._announcements)

    def start(self) -> None:
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Wait until everything was confirmed, at most so long; tell whether it was."""
        self._thread.join(seconds)
        self._stop.set()
        self._thread.join()
        return self.confirmed == len(self._announcements)

    def _send_all(self) -> None:
        began = datetime.now(UTC)
        waiting = list(self._announcements)
        with closing(StompPublisher(self._broker)) as publisher:
            while waiting and not self._stop.wait(_TICK):
                passed = (datetime.now(UTC) - began).total_seconds()
                due = [each for each in waiting if each.due <= passed]
                if due and self._is_confirmed(publisher, due):
                    waiting = waiting[len(due) :]

    def _is_confirmed(self, publisher: StompPublisher, due: Sequence[Announcement]) -> bool:
        for each in due:
            each.tries += 2 if each.is_repeated else 1
        messages = [each.message() for each in due]
        again = [each.message() for each in due if each.is_repeated]
        try:
            publisher.publish(messages + again)
        except BrokerError:
            self._stop.wait(_PAUSE)
            return False
        for each in due:
            each.confirmed_at = datetime.now(UTC)
        return True
