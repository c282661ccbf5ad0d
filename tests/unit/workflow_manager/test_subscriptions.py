"""What the workflow manager reads before a site adds anything."""

import json
from pathlib import PurePosixPath

import pytest

from workflow_manager.config import prefixes
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES
from workflow_manager.protocol.codec import DecodeError, decode
from workflow_manager.subscriptions import always


def test_every_input_dead_letters_and_the_topics_of_each_facility() -> None:
    wanted = {each.destination: each for each in always(70, ("SNS", "ADARA"))}
    assert {names.queue(name) for name in INPUT_QUEUES} <= wanted.keys()
    assert {"/topic/SNS.*.APP.SMS", "/topic/ADARA.*.APP.SMS"} <= wanted.keys()
    assert "/topic/HFIR.*.APP.SMS" not in wanted
    assert {each.prefetch for each in wanted.values()} == {70}


def test_only_dead_letters_are_optional() -> None:
    """No broker has all the names, and none of them is a run's way."""
    optional = {each.destination for each in always(70, ("SNS",)) if each.is_optional}
    assert optional == {"/queue/DLQ", "/queue/ExpiryQueue", "/queue/ActiveMQ.DLQ"}


@pytest.mark.parametrize("text", ["SNS,HFIR,ADARA", '["SNS", "HFIR", "ADARA"]'])
def test_facilities_are_words(text: str) -> None:
    assert prefixes(text) == ("SNS", "HFIR", "ADARA")


@pytest.mark.parametrize("text", ["*", "SNS,>", "#", "SNS.ARCS", "/topic/SNS", ",", "[]"])
def test_a_wildcard_is_no_facility(text: str) -> None:
    with pytest.raises(ValueError, match="no first word of a topic"):
        prefixes(text)


@pytest.mark.parametrize("topic", ["SNS.18.APP.SMS", "SNS.A$B.APP.SMS", "SNS..APP.SMS"])
def test_a_topic_whose_second_word_is_no_name_makes_no_instrument(topic: str) -> None:
    body = {"run_number": "1", "msg_type": "9", "reason": "SMS run started", "ipts": "IPTS-1"}
    with pytest.raises(DecodeError, match="names no instrument"):
        decode(f"/topic/{topic}", json.dumps(body).encode(), PurePosixPath("/"))
