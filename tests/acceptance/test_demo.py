"""bin/demo as its user meets it: detached, found by its endpoints, stopped, nothing left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.activemq import free_port

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "bin" / "demo"), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def family(folder: Path) -> list[psutil.Process]:
    """The processes that belong to the demo in this folder."""
    supervisor = psutil.Process(int((folder / "demo.pid").read_text()))
    return [supervisor, *supervisor.children(recursive=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    demo("--stop", "--state-dir", str(tmp_path / "state"))


def test_detach_endpoints_stop(folder: Path) -> None:
    started = demo("--detach", "--port", "0", "--state-dir", str(folder))
    assert started.returncode == 0, started.stderr
    endpoints = json.loads((folder / "endpoints.json").read_text())
    assert endpoints.keys() == {"web", "broker", "database", "facility_root", "users", "uploads"}
    assert endpoints["broker"].keys() == {"host", "port", "user", "password"}
    assert endpoints["users"].keys() == {"admin", "scientist", "user"}
    assert endpoints["web"] in started.stdout
    assert (folder / "endpoints.json").stat().st_mode & 0o077 == 0
    assert requests.get(f"{endpoints['web']}/ht/", timeout=10).status_code == 200

    second = demo("--detach", "--port", "0", "--state-dir", str(folder))
    assert second.returncode == 1
    assert "already running" in second.stderr

    processes = family(folder)
    assert len(processes) > 8
    stopped = demo("--stop", "--state-dir", str(folder))
    assert stopped.returncode == 0, stopped.stderr
    assert not (folder / "endpoints.json").exists()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


def test_nothing_outlives_a_killed_supervisor(folder: Path) -> None:
    started = demo("--detach", "--port", "0", "--no-simulator", "--state-dir", str(folder))
    assert started.returncode == 0, started.stderr
    supervisor, *children = family(folder)
    os.kill(supervisor.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = demo("--detach", "--port", str(port), "--state-dir", str(folder))
    assert started.returncode == 1
    assert str(port) in started.stderr


def test_check_sends_one_run_through() -> None:
    checked = demo("--check")
    assert checked.returncode == 0, checked.stderr + checked.stdout


def test_a_broker_that_is_not_there_is_said(folder: Path) -> None:
    port = free_port()
    started = subprocess.run(
        [
            *(sys.executable, "-m", "demo", "--state-dir", str(folder), "--port", "0"),
            *("--broker", f"127.0.0.1:{port}"),
        ],
        cwd=ROOT,
        env=os.environ | {"WORKFLOW_USER": "workflow", "WORKFLOW_PASS": "x"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert started.returncode == 1
    assert f"The broker at 127.0.0.1:{port} does not answer" in started.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_during_the_start_is_prompt(folder: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "demo", "--state-dir", str(folder), "--port", "0"]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    database = folder / "logs" / "database.log"
    deadline = time.monotonic() + 120
    while not database.exists():
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = family(folder)[1:]
    started.send_signal(number)
    _, said = started.communicate(timeout=15)
    assert started.returncode == 1
    assert "stopped while" in said
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert str(folder) not in str([p.info["cmdline"] for p in psutil.process_iter(["cmdline"])])


def test_root_without_util_linux_is_said(folder: Path) -> None:
    """The test runs the same where we are root and where we are not."""
    script = (
        "import os\nfrom demo.postgres import PostgresError, unprivileged\n"
        "try:\n    print(*unprivileged(['true']))\nexcept PostgresError as e:\n    print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = "unshare and setpriv is not installed" if os.geteuid() == 0 else "true"
    assert expected in done.stdout
