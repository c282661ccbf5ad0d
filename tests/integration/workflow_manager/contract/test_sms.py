"""§1.4 and §6.5: what data acquisition says of a run while it goes on; the pseudo queue SMS."""

from typing import Any

import pytest

from tests.integration.workflow_manager.contract.site import RunSeen, Site, stc
from tests.integration.workflow_manager.contract.table import ON_DATABASE, Row
from workflow_manager.domain.states import RunState, run_state
from workflow_manager.domain.steps import Phase, Step

ROWS = (Row("SMS"),)
TOPICS = ("<D>.APP.SMS",)
REASONS = (
    *("SMS run started", "SMS run stopped", "SMS run paused", "SMS run resumed"),
    *("SMS Start Run Sent to STC", "STC Send Pending", "Rescan STC Send Pending"),
    *("Translation Succeeded", "Translation Succeeded - 12 s"),
    *("STC Connection Error: refused", "STC transient Error: busy"),
    "Needs Manual Translation: no ITEMS in µ",
)

pytestmark = ON_DATABASE


def sms(run: RunSeen, reason: str, **changes: Any) -> dict[str, Any]:
    """As SMS sends it: the beamline's number stands where others have the instrument's name."""
    return {
        "msg_type": "2686451712",
        "src_id": "SMS_32162",
        "dest_id": "",
        "timestamp": "1771500348",
        "facility": "SNS",
        "instrument": "BL18",
        "start_sec": "1771500343",
        "start_nsec": "554801929",
        "run_number": str(run.number),
        "ipts": "IPTS-27800",
        "reason": reason,
        **changes,
    }


# What is sent without a prefix is a message for a queue: on these brokers a topic has its prefix.
@pytest.mark.parametrize("facility", ["SNS", "HFIR"])
def test_each_reason_is_a_line_of_the_runs_history(site: Site, facility: str) -> None:
    run = site.new_run("cg2" if facility == "HFIR" else "arcs")
    for reason in REASONS:
        said = sms(run, reason, facility=facility)
        site.send(f"/topic/{facility}.{run.instrument.upper()}.APP.SMS", said)
    site.await_queues(run, ["SMS"] * len(REASONS))
    assert sorted(event.information for event in run.events) == sorted(REASONS)
    assert {event.body["src_id"] for event in run.events} == {"SMS_32162"}
    row = run.row
    assert (row.data_file, row.data_ready_at, row.proposal.name) == ("", None, "IPTS-27800")
    assert row.instrument.facility == facility
    assert run_state(run.phases, has_data=False) == RunState.ACQUIRING
    site.settle()
    assert site.jobs_of(run) == []


def test_the_data_of_a_run_that_was_acquired_is_announced(site: Site) -> None:
    run = site.new_run()
    site.send("/topic/SNS.ARCS.APP.SMS", sms(run, "SMS run started", ipts="IPTS-1"))
    site.await_queues(run, ["SMS"])
    site.send("POSTPROCESS.DATA_READY", stc(run))
    site.await_job(run, "REDUCTION.DATA_READY")
    row = run.row
    assert (row.data_file, row.proposal.name) == (stc(run)["data_file"], "IPTS-27800")
    assert run.phases[Step.REDUCTION] == Phase.REQUESTED


@pytest.mark.parametrize("missing", ["run_number", "msg_type", "reason", "ipts"])
def test_what_lacks_a_key_makes_no_run(site: Site, missing: str) -> None:
    run = site.new_run("lacking")
    content = sms(run, "SMS run started")
    del content[missing]
    site.send("/topic/SNS.LACKING.APP.SMS", content)
    complete = site.new_run("lacking")
    site.send("/topic/SNS.LACKING.APP.SMS", sms(complete, "SMS run started"))
    site.await_queues(complete, ["SMS"])
    assert not run.exists
