"""A job's way through a real agent: real broker, real scripts, real files."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.integration.postprocessing.conftest import StartAgent
from tests.integration.postprocessing.facility import (
    AgentProcess,
    Desk,
    Facility,
    processes_with,
    wait_until,
)
from workflow_manager.protocol.codec import encode


def _log(facility: Facility, run: int = 1, suffix: str = "log") -> Path:
    return facility.output() / "reduction_log" / f"ARCS_{run}.nxs.h5.{suffix}"


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
    real = f"{facility.root}{job['data_file']}"
    said = f"['{real}', '{facility.output()}/'] {facility.output()}\n"
    assert _log(facility, 7).read_text() == said
    assert not _log(facility, 7, "err").exists()
    assert agent.process.poll() is None


def test_a_bare_queue_name_and_the_root_in_front_work_too(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script("import sys; print(sys.argv[1])")
    job = facility.job()
    job["data_file"] = f"{facility.root}{job['data_file']}"
    desk.send(job, "REDUCTION.DATA_READY")
    desk.wait_for("REDUCTION.COMPLETE")
    assert _log(facility).read_text().strip() == job["data_file"]
    assert agent.process.poll() is None


def test_silent_exit_3_is_an_error(facility: Facility, desk: Desk, agent: AgentProcess) -> None:
    facility.script("raise SystemExit(3)")
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    said = f"exited with code 3 and wrote nothing to stderr; see {_log(facility)}"
    assert report["error"] == f"REDUCTION: {said}"
    assert report["exit_code"] == 3
    assert agent.process.poll() is None


def test_a_traceback_travels_whole(facility: Facility, desk: Desk, agent: AgentProcess) -> None:
    facility.script("raise RuntimeError('no workspace\\0 é')")
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    assert report["error"].startswith("REDUCTION: no workspace\ufffd")
    assert report["error_detail"].startswith("Traceback (most recent call last):")
    assert _log(facility, suffix="err").read_bytes().startswith(b"Traceback")
    assert agent.process.poll() is None


def test_noise_on_stderr_is_an_error_unless_tolerated(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script("import sys; sys.stderr.write('some warning\\n')")
    desk.send(facility.job(1))
    assert desk.wait_for("REDUCTION.ERROR")[0]["error"] == "REDUCTION: some warning"
    facility.script("import sys; sys.stderr.write('Error in logging framework\\n')")
    desk.send(facility.job(2))
    [complete] = desk.wait_for("REDUCTION.COMPLETE")
    assert complete["information"] == "Error in logging framework"
    assert agent.process.poll() is None


def test_output_is_capped_with_head_and_tail(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script(
        "import os\nos.write(1, b'first\\n')\n"
        "for _ in range(300): os.write(1, b'x' * 1_000_000)\n"
        "os.write(1, b'last\\n')"
    )
    desk.send(facility.job())
    desk.wait_for("REDUCTION.COMPLETE")
    written = _log(facility).read_bytes()
    assert written.startswith(b"first\n")
    assert written.endswith(b"last\n")
    assert b"bytes left out here" in written
    assert 20_000_000 <= len(written) < 20_001_000
    assert agent.process.poll() is None


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param("pass", id="fork"),
        pytest.param("os.setsid()\n    if os.fork(): os._exit(0)", id="daemon"),
        pytest.param("signal.signal(15, signal.SIG_IGN); os.setsid()", id="stubborn"),
    ],
)
def test_nothing_of_a_script_is_left(
    facility: Facility, desk: Desk, agent: AgentProcess, leave: str
) -> None:
    facility.script(
        "import os, signal, time\n"
        f"if os.fork() == 0:\n    {leave}\n    open('up', 'w')\n    time.sleep(600)\n"
        "while not os.path.exists('up'): pass"
    )
    desk.send(facility.job())
    desk.wait_for("REDUCTION.COMPLETE")
    assert processes_with(str(facility.root)) == []
    assert agent.process.poll() is None


def test_the_time_limit_ends_a_script_that_ignores_it(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    start_agent(task_time_limit_minutes=1 / 60)
    facility.script("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)")
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    assert report["error"].startswith("REDUCTION: Time limit exceeded (1.")
    assert report["error"].endswith(" s > 1.000000 s). Terminating job.")
    assert processes_with(str(facility.root)) == []


def test_the_memory_limit_counts_the_whole_tree(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    start_agent(system_mem_limit_perc=100 * 150e6 / total)
    facility.script(
        "import os, time\nchildren = [os.fork() for _ in range(2)]\n"
        "hold = bytearray(b'x') * 90_000_000\ntime.sleep(600)"
    )
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    assert report["error"].startswith("REDUCTION: Total memory usage exceeded limit (0.")
    assert report["error"].endswith(" GiB > 0.139698 GiB). Terminating job.")


def test_a_killed_script_is_named(facility: Facility, desk: Desk, agent: AgentProcess) -> None:
    facility.script("import os; os.kill(os.getpid(), 9)")
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    assert report["error"].startswith("REDUCTION: killed by signal 9 (SIGKILL)")
    assert report["exit_code"] is None
    assert agent.process.poll() is None


def test_a_file_name_is_never_a_command(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    facility.script("import sys; print(sys.argv[1])")
    job = facility.job()
    job["data_file"] = facility.data_file(1, name="a b$(touch${IFS}INJECTED);'.nxs.h5")
    desk.send(job)
    desk.wait_for("REDUCTION.COMPLETE")
    assert list(facility.root.rglob("INJECTED")) == []
    assert agent.process.poll() is None


def test_without_a_script_reduction_is_disabled(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    desk.send(facility.job())
    assert len(desk.wait_for("REDUCTION.DISABLED")) == 1
    assert len(desk.named("REDUCTION.STARTED")) == 1
    assert agent.process.poll() is None


def test_a_program_that_does_not_exist_is_told(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    start_agent(python_exec="/nowhere/python")
    facility.script("pass")
    desk.send(facility.job())
    [report] = desk.wait_for("REDUCTION.ERROR")
    assert report["error"] == "REDUCTION: /nowhere/python: No such file or directory"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"data_file": "/SNS/ARCS/no"}, "Data file not found: /SNS/ARCS/no"),
        ({"data_file": "/SNS/ARCS"}, "Data file open error for file /SNS/ARCS"),
        ({"data_file": None}, "data_file is missing: None"),
        (
            {"data_file": "/../../../../../../etc/passwd"},
            "Data file /../../../../../../etc/passwd is outside of the facility's tree",
        ),
        ({"facility": None}, "Facility is missing"),
        ({"instrument": None}, "Instrument is missing"),
        ({"ipts": None}, "IPTS is missing"),
        ({"run_number": None}, "Run number is missing"),
        ({"ipts": "../.."}, "IPTS is not a plain name: ../.."),
        ({"instrument": "a/b"}, "Instrument is not a plain name: a/b"),
    ],
)
def test_what_is_wrong_with_a_message_is_told_once(
    facility: Facility,
    desk: Desk,
    agent: AgentProcess,
    change: dict[str, str | None],
    error: str,
) -> None:
    job = {**facility.job(), **change}
    desk.send(job)
    [report] = desk.wait_for("POSTPROCESS.ERROR")
    assert report == {**job, "information": "node7", "error": error}
    assert desk.named("REDUCTION.STARTED") == []
    assert agent.process.poll() is None


def test_bodies_that_are_no_message_are_kept_and_stop_nothing(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    hostile = [b"not json", b"[1]", b"7", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000]
    hostile += [b'{"a": "\\ud800"}', b'{"a": 1e999}', b""]
    hostile += [
        encode(facility.job()).replace(b"{", b'{"a": ' + b"[" * n + b"]" * n + b", ")
        for n in (101, 700)
    ]
    for body in hostile:
        desk.send(body)
    facility.script("pass")
    desk.send(facility.job())
    desk.wait_for("REDUCTION.COMPLETE")
    kept = [path.read_bytes() for path in (agent.journal / "rejected").glob("*.body")]
    assert sorted(kept) == sorted(hostile)


def test_a_script_does_not_see_the_agents_secrets(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    start_agent(publisher_password="for-plots", python_exec=sys.executable)
    facility.script(
        "import json, os\nfrom plot_publisher import plot1d, read_configuration\n"
        "from postprocessing.publish_plot import publish_plot\n"
        "print(json.dumps([dict(os.environ), open(os.environ['WEBMON_PUBLISH_CONFIG']).read(),"
        " read_configuration().publisher_password, plot1d(1, [[1, 2], [3, 4]], publish=False)]))"
    )
    desk.send(facility.job())
    desk.wait_for("REDUCTION.COMPLETE", timeout=40)
    environment, config, password, div = json.loads(_log(facility).read_text())
    allowed = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "TMPDIR", "LC_CTYPE"}
    ours = {"PYTHONPATH", "WEBMON_PUBLISH_CONFIG", "WEBMON_JOB"}
    assert set(environment) <= allowed | ours
    assert "secret-of-the-broker" not in config
    assert password == "for-plots"
    assert '"x":[1,2],"y":[3,4]' in div


def test_jobs_run_side_by_side(facility: Facility, desk: Desk, start_agent: StartAgent) -> None:
    start_agent(max_procs=3)
    # Each waits for the other two: serial work would never end.
    facility.script(
        "import os, sys, time\nopen(sys.argv[1] + '.here', 'w')\n"
        "d = os.path.dirname(sys.argv[1])\n"
        "while len([f for f in os.listdir(d) if f.endswith('.here')]) < 3: time.sleep(0.01)\n"
        "print(os.nice(0))"
    )
    for run in (1, 2, 3):
        desk.send(facility.job(run))
    desk.wait_for("REDUCTION.COMPLETE", 3)
    levels = sorted(int(_log(facility, run).read_text()) for run in (1, 2, 3))
    assert levels[2] - levels[0] == 10
    assert levels[0] == levels[1]


def test_an_agent_without_a_free_slot_leaves_jobs_to_others(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    start_agent(max_procs=1, agent_name="a")
    facility.script("import time\ntime.sleep(600 if '_1.' in __import__('sys').argv[1] else 0)")
    desk.send(facility.job(1))
    desk.wait_for("REDUCTION.STARTED")
    desk.send(facility.job(2))
    start_agent(max_procs=1, agent_name="b")
    [report] = desk.wait_for("REDUCTION.COMPLETE")
    assert (report["run_number"], report["agent"]) == (2, "b")


def test_a_ping_is_answered_while_busy(
    facility: Facility, desk: Desk, start_agent: StartAgent
) -> None:
    busy = start_agent(max_procs=1)
    facility.script("import time; time.sleep(600)")
    desk.send(facility.job())
    desk.wait_for("REDUCTION.STARTED")
    ping = {"reply_to": "/topic/TEST.ACK", "request_time": 1.5}
    desk.send(ping, "/topic/SNS.COMMON.STATUS.PING")
    [reply] = desk.wait_for("TEST.ACK")
    card = {"src_name": "node7", "role": "postprocessing", "status": "0", "slots": "1"}
    assert reply == {**ping, **card, "pid": str(busy.process.pid)}
    assert desk.named("TEST.HEARTBEAT")[0] == {**card, "pid": str(busy.process.pid)}


def test_cataloguing_without_a_catalogue_succeeds_and_says_so(
    facility: Facility, desk: Desk, agent: AgentProcess
) -> None:
    desk.send(facility.job(), "/queue/CATALOG.ONCAT.DATA_READY")
    desk.send(facility.job(), "/queue/REDUCTION_CATALOG.DATA_READY")
    for name in ("CATALOG.ONCAT", "REDUCTION_CATALOG"):
        [report] = desk.wait_for(f"{name}.COMPLETE")
        said = "node7: no catalogue is configured, nothing was sent"
        assert report["information"] == said
        assert len(desk.named(f"{name}.STARTED")) == 1
    wait_until(lambda: len(list((agent.journal / "settled").iterdir())) == 2)
