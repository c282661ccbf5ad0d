"""§1.4 and §4.5, §7: who lives; and topics that are no news of a run."""

import json

import pytest

from tests.integration.workflow_manager.contract.site import HEARTBEAT, Site
from tests.integration.workflow_manager.contract.table import ON_DATABASE
from tests.integration.workflow_manager.contract.wire import Frame
from workflow_manager.models import Instrument, RejectedMessage

AGENT = {"src_name": "autoreducer4.sns.gov", "role": "postprocessing", "status": "0", "pid": "2201"}
PING = {"reply_to": "/topic/SNS.COMMON.STATUS.ACK", "request_time": 1771500000.123}
DASMON = {"msg_type": "2696937472", "src_id": "DASMON_0", "timestamp": "1771500001"}
SIGNAL = {"sig_name": "SID_SVP_HIGH", "sig_source": "DAS", "sig_message": "high", "sig_level": "3"}
# What others tell each other: nobody takes it for a run, whatever it looks like.
OTHERS = {
    "SNS.COMMON.STATUS.AUTOREDUCE.0": AGENT,
    "SNS.COMMON.STATUS.PING": PING,
    "SNS.COMMON.STATUS.ACK": {**PING, **AGENT},
    "HFIR.COMMON.STATUS.ACK": {**PING, **AGENT},
    "<D>.APP.DASMON": {**DASMON, "recording": "true", "run_number": "7", "proposal_id": "5"},
    "<D>.STATUS.DASMON": {"src_name": "dasmon", "status": "0"},
    "<D>.SIGNAL.DASMON": {**DASMON, **SIGNAL},
    "<D>.STATUS.SMS": {"src_id": "SMS_32162", "status": "0"},
    "<D>.STATUS.PVSD": {"src_name": "pvsd", "status": "0", "pid": "4711"},
    "<D>.STATUS.POSTPROCESS": {"src_id": "postprocessing", "status": "Created X reduction script"},
}
TOPICS = (HEARTBEAT.removeprefix("/topic/"), *OTHERS)

pytestmark = ON_DATABASE


def test_the_manager_tells_every_five_seconds_that_it_lives(site: Site) -> None:
    def beats() -> list[Frame]:
        return [each for each in site.client.frames if each.destination == HEARTBEAT]

    assert site.client.wait_for(lambda: len(beats()) >= 2, 12)
    first, second = beats()[:2]
    for beat in (first, second):
        assert {key: beat.body[key] for key in ("src_name", "status")} == {
            "src_name": "workflowmgr",
            "status": "0",
        }
        assert beat.body["pid"].isdecimal()
        assert beat.headers.get("persistent", "false") == "false"
    assert 4 < second.at - first.at < 8


@pytest.mark.parametrize("topic", OTHERS)
def test_what_is_no_news_of_a_run_makes_none(site: Site, topic: str) -> None:
    for facility in ("SNS", "HFIR"):
        name = topic.replace("<D>", f"{facility}.STRAY")
        site.client.send(f"/topic/{name}", json.dumps(OTHERS[topic]), persistent=False)
    site.settle()
    assert not Instrument.objects.filter(name__in=["stray", "common"]).exists()
    assert not RejectedMessage.objects.filter(destination__endswith=topic).exists()
