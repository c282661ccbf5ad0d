"""What the listener needs to know; the fields document it."""

import json
from dataclasses import dataclass

from workflow_manager.config import prefixes
from workflow_manager.domain.destinations import FACILITIES
from workflow_manager.kernel.environment import addresses, integer, text, variable


def topics(value: str) -> tuple[str, ...]:
    """A JSON list of destinations.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(value)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError('write a JSON list of topics, such as ["/topic/SNS.*.APP.DASMON"]')
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    brokers: tuple[tuple[str, int], ...] = variable(
        "AMQ_BROKER", addresses, "the brokers, as a JSON list of [host, port], tried in order"
    )
    user: str = variable("ICAT_USER", text, "the broker user of the listener")
    password: str = variable("ICAT_PASS", text, "the broker password of the listener", secret=True)
    facilities: tuple[str, ...] = variable(
        "FACILITIES",
        prefixes,
        "the first words of the topics on which data acquisition reports, "
        "such as SNS in SNS.ARCS.APP.DASMON",
        default=FACILITIES,
    )
    topics: tuple[str, ...] = variable(
        "AMQ_QUEUE",
        topics,
        "the topics to listen to, as a JSON list, in place of those that follow from FACILITIES",
        default=(),
    )
    adara_instrument: str = variable(
        "ADARA_INSTRUMENT",
        text,
        "the instrument of topics that name none, such as ADARA.APP.DASMON.0",
        default="",
    )
    largest_backlog: int = variable(
        "LISTENER_BACKLOG",
        integer,
        "values that may wait to be written before the oldest of the noisiest instrument are shed",
        default=300_000,
    )
    new_instruments: int = variable(
        "LISTENER_NEW_INSTRUMENTS",
        integer,
        "instruments that may become known by their messages within an hour, at most",
        default=50,
    )
