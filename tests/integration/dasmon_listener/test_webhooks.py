"""Posting to servers that are slow, ill, or hostile."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network

import pytest

from dasmon_listener import webhooks
from tests.integration.dasmon_listener.others import Hook, hook, say

HERE = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


def test_what_is_sent_arrives_as_json(server: Hook) -> None:
    outcome = webhooks.post(server.url("/x?token=1"), {"text": "ä"}, HERE)
    assert outcome.is_success and outcome.words == "200 OK: ok"
    assert json.loads(server.bodies[0]) == {"text": "ä"}
    assert server.headers[0]["Content-Type"] == "application/json"
    assert server.headers[0]["Host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"]
)
def test_private_addresses_are_refused_however_they_are_written(host: str, server: Hook) -> None:
    outcome = webhooks.post(f"http://{host}:{server.port}/", {}, ())
    assert not outcome.is_success and outcome.is_final
    assert "private, local or reserved" in outcome.words
    assert server.bodies == []


def test_a_name_that_resolves_differently_later_leads_nowhere_else(server: Hook) -> None:
    """The attacker's name server answers with an address that is taken, then with ours."""
    answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]

    def rebind(host: str, port: int) -> list[str]:
        return answers.pop(0)

    only = (ip_network("127.0.0.2/32"),)
    outcome = webhooks.post(f"http://rebind.test:{server.port}/", {}, only, resolve=rebind)
    assert outcome.words == "The connection failed: Connection refused"
    assert len(answers) == 2 and server.bodies == []
    outcome = webhooks.post(f"http://rebind.test:{server.port}/", {}, only, resolve=rebind)
    assert "rebind.test (127.0.0.1) is a private" in outcome.words


def test_redirects_are_told_and_not_followed(server: Hook) -> None:
    server.answers["/"] = say(302, Location="http://169.254.169.254/latest/meta-data/")
    outcome = webhooks.post(server.url(), {}, HERE)
    assert outcome.is_final and not outcome.is_success
    assert "302 Found: it leads on to http://169.254.169.254, which" in outcome.words
    assert len(server.bodies) == 1


def test_errors_are_told_in_the_words_of_the_other_side(server: Hook) -> None:
    server.answers["/"] = say(500, b"no_service\n")
    outcome = webhooks.post(server.url(), {}, HERE)
    assert (outcome.is_success, outcome.is_final) == (False, False)
    assert outcome.words == "500 Internal Server Error: no_service"


def test_a_huge_answer_is_read_in_part(server: Hook) -> None:
    server.answers["/"] = say(200, b"x" * 10_000_000)
    outcome = webhooks.post(server.url(), {}, HERE)
    assert outcome.is_success
    assert len(outcome.words) == len("200 OK: ") + webhooks.LARGEST_ANSWER


def test_silence_ends(server: Hook) -> None:
    server.hold("/")
    outcome = webhooks.post(server.url(), {}, HERE, read_seconds=0.2)
    assert (outcome.is_success, outcome.words) == (False, "No answer within 0.2 s")


def test_an_answer_that_comes_byte_by_byte_ends_too(server: Hook) -> None:
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1")
        try:
            while not server.let_go.wait(0.02):
                handler.wfile.write(b" ")
        finally:
            ended.set()

    server.answers["/"] = drip
    outcome = webhooks.post(server.url(), {}, HERE, read_seconds=0.3)
    assert (outcome.is_success, outcome.words) == (False, "No answer within 0.3 s")
    assert ended.wait(10)


def test_a_body_that_breaks_off_is_told_as_far_as_it_came(server: Hook) -> None:
    def break_off(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\nthanks")

    server.answers["/"] = break_off
    outcome = webhooks.post(server.url(), {}, HERE)
    assert outcome.is_success
    assert outcome.words == "202 Accepted: thanks [the answer broke off]"


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        outcome = webhooks.post(f"http://127.0.0.1:{port}/secret", {}, HERE)
    assert (outcome.is_success, outcome.is_final) == (False, False)
    assert outcome.words == "The connection failed: Connection refused"
    unknown = webhooks.post("https://no-such-host.invalid/secret", {}, ())
    assert unknown.words.startswith("The name of the host cannot be resolved")
    assert not unknown.is_final


def test_tls_is_checked_for_the_name(server: Hook) -> None:
    outcome = webhooks.post(server.url().replace("http:", "https:"), {}, HERE)
    assert not outcome.is_success and "SSL" in outcome.words


def test_what_is_no_address_is_refused() -> None:
    assert webhooks.post("ftp://example.org", {}, ()).is_final
    assert webhooks.post(f"http://{'a' * 70}.org/", {}, ()).is_final
