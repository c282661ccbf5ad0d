"""What containers run around our processes: health checks, and the start of the broker."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
USERS = ("workflow", "agent", "instruments", "listener", "operator")
HOST = "webmon.example.org"


def healthy(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEPLOY / "images" / "healthy"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers 200 to one host name, as Django does."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Host"] == HOST else 400)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ht/"
        server.shutdown()
        thread.join()


def test_a_server_that_answers_is_healthy(url: str) -> None:
    assert healthy("answers", url, HOST).returncode == 0


def test_a_server_that_refuses_is_not_healthy(url: str) -> None:
    done = healthy("answers", url, "other.example.org")
    assert done.returncode == 1
    assert "HTTP Error 400" in done.stderr


def test_a_process_without_its_connection_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"no connection to port {port}" in healthy("connected", port).stderr
        with socket.create_connection(("127.0.0.1", port)):
            assert healthy("connected", port).returncode == 0


def test_a_file_that_is_not_written_any_more_is_not_healthy(tmp_path: Path) -> None:
    schedule = tmp_path / "schedule"
    assert "does not exist" in healthy("fresh", schedule, 60).stderr
    # Python's dbm adds an ending of its own on some systems.
    written = tmp_path / "schedule.db"
    written.touch()
    assert healthy("fresh", schedule, 60).returncode == 0
    os.utime(written, (1_000_000_000, 1_000_000_000))
    assert healthy("fresh", schedule, 60).returncode == 1


def start_broker(folder: Path, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run deploy/artemis/start with a java that says how it was called."""
    for name in ("secrets", "run", "bin"):
        (folder / name).mkdir()
    for user, password in passwords.items():
        (folder / "secrets" / f"broker_{user}").write_text(password + "\n")
    java = folder / "bin" / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "WEBMON_SECRETS": str(folder / "secrets"),
        "WEBMON_RUN": str(folder / "run"),
        "WEBMON_DATA": str(folder / "data"),
    }
    return subprocess.run(
        [str(DEPLOY / "artemis" / "start")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_broker_gets_its_users_and_nobody_sees_their_passwords(tmp_path: Path) -> None:
    passwords = {user: f"a-long-word-for-{user}" for user in USERS}
    done = start_broker(tmp_path, passwords)
    assert done.returncode == 0, done.stderr
    users = tmp_path / "run" / "users.properties"
    assert users.stat().st_mode & 0o077 == 0
    assert dict(line.split(" = ") for line in users.read_text().splitlines()) == passwords
    assert f"-Ddata.dir={tmp_path / 'data'}" in done.stdout.splitlines()
    assert not any(password in done.stdout for password in passwords.values())


@pytest.mark.parametrize(
    "password", ["", "short", "a word with blanks in it", "${sys:user.home}-----"]
)
def test_the_broker_does_not_start_with_a_bad_password(tmp_path: Path, password: str) -> None:
    passwords = {user: f"a-long-word-for-{user}" for user in USERS} | {"agent": password}
    done = start_broker(tmp_path, passwords)
    assert done.returncode == 1
    assert "broker_agent: at least 16" in done.stderr
    assert password not in done.stderr or not password


def test_the_broker_does_not_start_without_a_password(tmp_path: Path) -> None:
    done = start_broker(tmp_path, {user: f"a-long-word-for-{user}" for user in USERS[:-1]})
    assert done.returncode == 1
    assert "broker_operator" in done.stderr
    assert "run" not in done.stdout
