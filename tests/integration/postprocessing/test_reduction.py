"""A job's way through a real agent: real broker, real scripts, real files."""

import time
from pathlib import Path

from tests.integration.postprocessing.facility import AgentProcess, Desk, Facility, wait_until


def test_a_script_runs_and_its_run_is_reported(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script("import sys, os; print(sys.argv[1:], os.getcwd())")
    job = facility.job(7, title="a b  c", job_id=11, attempt=2)
    desk.send(job)
    [complete] = desk.wait_for("REDUCTION.COMPLETE")
    [started] = desk.named("REDUCTION.STARTED")
    assert started == {**job, "information": "node7"}
    assert list(complete)[: len(job) + 1] == [*job, "information"]
    assert {key: complete[key] for key in job} == job
    assert complete["exit_code"] == 0
    assert complete["started_at"] < complete["ended_at"]
    log = facility.output() / "reduction_log" / "ARCS_7.nxs.h5.log"
    real = f"{facility.root}{job['data_file']}"
    assert log.read_text() == f"['{real}', '{facility.output()}/'] {facility.output()}\n"
    assert not log.with_suffix(".err").exists()
    assert agent.process.poll() is None
