"""From the name of a topic to whose it is and what it carries."""

import pytest

from dasmon_listener.domain.topics import (
    Topic,
    UnusableTopicError,
    What,
    read_topic,
    topics_of,
)


@pytest.mark.parametrize("prefix", ["", "/topic/", "/queue/"])
def test_a_topic_is_the_same_however_it_is_spelled(prefix: str) -> None:
    assert read_topic(f"{prefix}SNS.REF_M.APP.DASMON") == Topic("SNS", "ref_m", What.VALUES)


@pytest.mark.parametrize(
    ("name", "what", "process"),
    [
        ("SNS.ARCS.APP.DASMON", What.VALUES, ""),
        ("SNS.ARCS.APP.STC", What.VALUES, ""),
        ("HFIR.CG2.APP.PV", What.PVS, ""),
        ("HFIR.CG2.STATUS.DASMON", What.HEARTBEAT, ""),
        ("HFIR.CG2.STATUS.DASMON.0", What.HEARTBEAT, ""),
        ("SNS.ARCS.STATUS.SMS", What.HEARTBEAT, "sms"),
        ("SNS.ARCS.STATUS.STC", What.HEARTBEAT, "stc"),
        ("SNS.ARCS.STATUS.STS", What.HEARTBEAT, "sts"),
        ("SNS.ARCS.STATUS.PVSD", What.HEARTBEAT, ""),
        ("SNS.ARCS.STATUS.POSTPROCESS", What.SCRIPT_RESULT, ""),
        ("SNS.ARCS.SIGNAL.DASMON", What.SIGNAL, ""),
        ("SNS.ARCS.APP.SMS", What.RUN_NOTE, ""),
        ("SNS.COMMON.STATUS.ACK", What.ANSWER, ""),
        ("HFIR.COMMON.STATUS.ACK", What.ANSWER, ""),
        ("SNS.COMMON.STATUS.WORKFLOW.0", What.HEARTBEAT, ""),
    ],
)
def test_a_topic_says_what_it_carries(name: str, what: What, process: str) -> None:
    topic = read_topic(name)
    assert (topic.what, topic.process) == (what, process)


def test_agents_are_known_by_their_topic() -> None:
    assert read_topic("/topic/SNS.COMMON.STATUS.AUTOREDUCE.0").is_from_agent
    assert not read_topic("/topic/SNS.COMMON.STATUS.WORKFLOW.0").is_from_agent


def test_a_topic_without_an_instrument_is_the_one_of_the_configuration() -> None:
    assert read_topic("/topic/ADARA.APP.DASMON.0", "HYSA") == Topic("", "hysa", What.VALUES)
    assert read_topic("ADARA.STATUS.DASMON.0", "hysa").what is What.HEARTBEAT
    with pytest.raises(UnusableTopicError, match="ADARA_INSTRUMENT"):
        read_topic("/topic/ADARA.SIGNAL.DASMON.0")


@pytest.mark.parametrize(
    "name",
    ["SNS", "SNS..APP.DASMON", "SNS.A B.APP.DASMON", f"SNS.{'X' * 41}.APP.DASMON", "SNS.É.X"],
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UnusableTopicError, match="no name of an instrument"):
        read_topic(name)


def test_a_site_listens_to_its_own_first_words() -> None:
    wanted = topics_of(["ESS"], "")
    assert "/topic/ESS.*.APP.DASMON" in wanted
    assert "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0" in wanted
    assert not [each for each in wanted if "SMS" in each and "APP" in each]
    assert not [each for each in wanted if each.startswith("/topic/SNS.*") or "ADARA" in each]
    assert "/topic/ADARA.STATUS.DASMON.0" in topics_of(["ESS"], "hysa")
