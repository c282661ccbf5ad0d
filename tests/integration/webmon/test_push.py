"""Pushes through a real server: gunicorn, its uvicorn worker, and a real NOTIFY."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests
from django.db import connection
from django.test import Client

from tests.integration.webmon import rows

PATIENCE = 20


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[bytes]
    address: str


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = connection.settings_dict["NAME"]
    command = [sys.executable, "-m", "gunicorn", "webmon.asgi:application", "--workers=1"]
    command += ["--worker-class=uvicorn_worker.UvicornWorker", f"--bind=127.0.0.1:{port}"]
    command += ["--graceful-timeout=30", "--no-control-socket"]
    environment = os.environ | {"DATABASE_NAME": database, "APP_DEBUG": "true"}
    process = subprocess.Popen(command, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(lambda: requests.get(f"{address}/ht/", timeout=PATIENCE).ok)
        yield Server(process, address)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _is_true_without_connection_error(is_true):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_true_without_connection_error(is_true: Callable[[], bool]) -> bool:
    try:
        return is_true()
    except requests.ConnectionError:
        return False


def session(client: Client) -> requests.Session:
    made = requests.Session()
    made.cookies.set("sessionid", client.cookies["sessionid"].value)
    return made


def stream(server: Server, client: Client, *keys: str) -> requests.Response:
    return session(client).get(
        f"{server.address}/events/", params={"key": list(keys)}, stream=True, timeout=PATIENCE
    )


def notify(*keys: str) -> None:
    with connection.cursor() as cursor:
        for key in keys:
            cursor.execute("SELECT pg_notify('webmon', %s)", [key])


def told(lines: Iterator[str], count: int) -> list[str]:
    """The data of the next `count` events."""
    found: list[str] = []
    while len(found) < count:
        line = next(lines)
        if line.startswith("data: "):
            found.append(line.removeprefix("data: "))
    return found


@pytest.fixture
def person(server: Server, client_of: Callable[[str], Client]) -> Client:
    return client_of("user")


@pytest.fixture
def client_of(transactional_db: None, tmp_path: object) -> Callable[[str], Client]:
    def make(role: str) -> Client:
        client = Client()
        client.force_login(rows.account(role, tmp_path))
        return client

    return make


def test_a_notice_reaches_the_browser(server: Server, person: Client) -> None:
    answer = stream(server, person, "run arcs/214583", "instrument *", "batch *")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    lines = answer.iter_lines(decode_unicode=True)
    # The second greeting comes when the database is listened to: from then on nothing is missed.
    assert told(lines, 2) == ["-", "hello"]
    notify("run arcs/1", "run arcs/214583", "instrument cncs", "batch 4", "rejected")
    assert told(lines, 3) == ["run arcs/214583", "instrument cncs", "batch 4"]
    answer.close()


def test_a_lost_database_connection_is_told(server: Server, person: Client) -> None:
    lines = stream(server, person, "rejected").iter_lines(decode_unicode=True)
    told(lines, 2)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'webmon push' AND datname = current_database()"
        )
        assert cursor.rowcount == 1
    assert told(lines, 1) == ["hello"]
    notify("rejected")
    assert told(lines, 1) == ["rejected"]


def test_open_streams_do_not_hold_the_process(server: Server, person: Client) -> None:
    lines = stream(server, person, "rejected").iter_lines(decode_unicode=True)
    told(lines, 2)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(PATIENCE)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("keys", [[], ["bad key!"], ["run arcs/1"] * 65, ["run " + "x" * 200]])
def test_odd_wishes_are_refused(keys: list[str], server: Server, person: Client) -> None:
    assert stream(server, person, *keys).status_code == 400


def test_strangers_and_upload_accounts_hear_nothing(
    server: Server, client_of: Callable[[str], Client]
) -> None:
    answer = requests.get(
        f"{server.address}/events/?key=rejected", allow_redirects=False, timeout=PATIENCE
    )
    assert answer.status_code == 302
    assert stream(server, client_of("uploads"), "rejected").status_code == 403


def test_a_killed_server_leaves_nobody_on_its_port(server: Server, person: Client) -> None:
    told(stream(server, person, "rejected").iter_lines(decode_unicode=True), 2)
    server.process.kill()

    def is_gone() -> bool:
        try:
            requests.get(f"{server.address}/ht/", timeout=5)
        except requests.ConnectionError:
            return True
        return False

    _wait_for(is_gone)
