"""Where instruments report, and what a message on such a topic is.

A topic is `<facility>.<INSTRUMENT>.<what>`, as in `SNS.ARCS.APP.DASMON`, and arrives bare or with
a prefix. Older data acquisition leaves the instrument out: `ADARA.APP.DASMON.0`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from workflow_manager.domain import destinations as names

COMMON = "common"  # central services report under this name

_INSTRUMENT = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
# Words that stand where the instrument would, in topics that name none.
_NO_INSTRUMENTS = frozenset({"APP", "STATUS", "SIGNAL", "LOG", "INPUT"})
_WITHOUT_INSTRUMENT = ("APP.DASMON.0", "STATUS.DASMON.0", "SIGNAL.DASMON.0")

# What is listened to, of every instrument of a facility.
_OF_INSTRUMENTS = (
    *("APP.DASMON", "APP.PV", "SIGNAL.DASMON", "STATUS.DASMON", "STATUS.PVSD"),
    *("STATUS.SMS", "STATUS.STC", "STATUS.STS", "STATUS.POSTPROCESS"),
)


class What(Enum):
    """What the messages of a topic are."""

    VALUES = auto()
    PVS = auto()
    HEARTBEAT = auto()
    SCRIPT_RESULT = auto()
    SIGNAL = auto()
    ANSWER = auto()
    RUN_NOTE = auto()

    @property
    def is_telemetry(self) -> bool:
        """Whether some of many may be given up when too much comes."""
        return self in (What.VALUES, What.PVS)


class UnusableTopicError(ValueError):
    """A topic whose messages belong nowhere; the text says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a message came from. `process` is the name of its sender where the topic gives it."""

    facility: str
    instrument: str
    what: What
    process: str = ""
    is_from_agent: bool = False


def topics_of(facilities: Iterable[str], adara_instrument: str) -> tuple[str, ...]:
    """All that is listened to."""
    wanted = [names.WORKFLOW_HEARTBEAT, names.AGENT_HEARTBEAT]
    for facility in facilities:
        wanted += [f"{names.TOPIC_PREFIX}{facility}.*.{each}" for each in _OF_INSTRUMENTS]
        wanted.append(f"{names.TOPIC_PREFIX}{facility}.COMMON.STATUS.ACK")
    if adara_instrument:
        wanted += [f"{names.TOPIC_PREFIX}ADARA.{each}" for each in _WITHOUT_INSTRUMENT]
    return tuple(wanted)


@lru_cache(maxsize=10_000)
def read_topic(destination: str, adara_instrument: str = "") -> Topic:
    """What is known before a message is opened.

    Raises:
        UnusableTopicError: it names no instrument, or one that cannot be.
    """
    facility, _, rest = names.bare_name(destination).partition(".")
    instrument, _, kind = rest.partition(".")
    if instrument.upper() in _NO_INSTRUMENTS:
        instrument, kind, facility = adara_instrument, rest, ""
        if not instrument:
            raise UnusableTopicError(
                "The topic names no instrument; ADARA_INSTRUMENT can say whose it is."
            )
    if not _INSTRUMENT.fullmatch(instrument) or instrument.upper() in _NO_INSTRUMENTS:
        raise UnusableTopicError(
            "The second word of the topic is no name of an instrument: "
            "those have up to 40 letters, digits, - or _."
        )
    what, process = _what(kind)
    is_from_agent = "AUTOREDUCE" in kind
    return Topic(facility.upper(), instrument.lower(), what, process, is_from_agent)


def _what(kind: str) -> tuple[What, str]:
    """The order is the contract's: the first word that is found decides."""
    if kind == "ACK" or kind.endswith(".ACK"):
        return What.ANSWER, ""
    if "STATUS" in kind:
        return _sign(kind)
    if "SIGNAL" in kind:
        return What.SIGNAL, ""
    if "APP.SMS" in kind:
        return What.RUN_NOTE, ""
    return (What.PVS if kind == "APP.PV" else What.VALUES), ""


def _sign(kind: str) -> tuple[What, str]:
    if "POSTPROCESS" in kind:
        return What.SCRIPT_RESULT, ""
    for process in ("STS", "STC", "SMS"):
        if process in kind:
            return What.HEARTBEAT, process.lower()
    return What.HEARTBEAT, ""
