"""What a body of the corpus is: its bytes, where they arrive, and what must come of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

# Where the tests say that the facility's tree is on this machine.
FACILITY_ROOT = PurePosixPath("/demo/facility")

DATA_READY = "POSTPROCESS.DATA_READY"
SMS_OF_ARCS = "/topic/SNS.ARCS.APP.SMS"


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a message is about, as it is recorded."""

    instrument: str
    number: int
    proposal: str
    facility: str = "SNS"
    data_file: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """No message: the reason has these words in it."""

    words: str


@dataclass(frozen=True, slots=True)
class Body:
    """`make` gives the bytes: the large ones are made only when they are wanted."""

    name: str
    destination: str
    make: Callable[[], bytes]
    expected: Run | Rejection


def body(
    name: str, content: bytes, expected: Run | Rejection, destination: str = DATA_READY
) -> Body:
    """A body that is small enough to keep."""
    return Body(name, destination, lambda: content, expected)


def rejected(name: str, content: bytes, words: str, destination: str = DATA_READY) -> Body:
    return body(name, content, Rejection(words), destination)


def data_file(number: int) -> str:
    return f"/SNS/ARCS/IPTS-27800/nexus/ARCS_{number}.nxs.h5"


def announcement(number: int, **changes: Any) -> dict[str, Any]:
    """What is sent when the data of a run of ARCS are complete."""
    return {
        "facility": "SNS",
        "instrument": "ARCS",
        "ipts": "IPTS-27800",
        "run_number": number,
        "data_file": data_file(number),
        **changes,
    }


def written(content: object) -> bytes:
    return json.dumps(content).encode()


def arcs(number: int) -> Run:
    """The run that `announcement` is about."""
    return Run("arcs", number, "IPTS-27800", "SNS", data_file(number))
