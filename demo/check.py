"""Sends one run through a running facility and looks at it as a person would."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import requests

from demo.endpoints import Endpoints
from demo.simulator.files import RunFile, write_run
from demo.simulator.messages import data_ready
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher
from workflow_manager.domain.destinations import POSTPROCESS_DATA_READY, queue
from workflow_manager.protocol.codec import encode

INSTRUMENT = "ARCS"
_SECONDS = 60


class CheckError(Exception):
    """The run did not arrive where it should."""


def send_one_run_through(endpoints: Endpoints) -> None:
    """Write a run file, announce it, and wait for run page and plot.

    Raises:
        CheckError: saying how far the run came.
    """
    session = log_in(endpoints.web, "user", endpoints.passwords["user"])
    run = write_run(INSTRUMENT, 1, endpoints.facility_root, seed=1)
    announce(endpoints, run)
    page = _finished_page(session, endpoints.web, run)
    if page["state"] != "done":
        raise CheckError(f"The run ended as {page['state']!r}: {page['verdict']}")
    _require_plot(session, endpoints.web, run)


def log_in(web: str, username: str, password: str) -> requests.Session:
    """A session of a person who has filled in the log-in form."""
    session = requests.Session()
    form = session.get(f"{web}/users/login", timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    if token is None:
        raise CheckError(f"The log-in page has no form:\n{form.text}")
    answer = session.post(
        f"{web}/users/login",
        data={"username": username, "password": password, "csrfmiddlewaretoken": token[1]},
        headers={"Referer": f"{web}/users/login"},
        timeout=10,
    )
    if "sessionid" not in session.cookies:
        raise CheckError(f"{username} cannot log in: {answer.status_code}\n{answer.text}")
    return session


def announce(endpoints: Endpoints, run: RunFile) -> None:
    """Tell the workflow manager that the run's file is complete."""
    broker = endpoints.broker
    config = BrokerConfig(((broker.host, broker.port),), broker.user, broker.password)
    with closing(StompPublisher(config)) as publisher:
        message = OutgoingMessage(queue(POSTPROCESS_DATA_READY), encode(data_ready(run)))
        publisher.publish([message])


def _finished_page(session: requests.Session, web: str, run: RunFile) -> dict[str, Any]:
    """The run page's value once its state is final; read again at every push."""
    instrument = run.instrument.lower()
    address = f"{web}/report/{instrument}/{run.run_number}/"
    page: dict[str, Any] = {"state": "unknown", "verdict": "the page does not exist"}
    deadline = time.monotonic() + _SECONDS
    for _ in pushes(session, web, f"run {instrument}/{run.run_number}"):
        answer = session.get(address, params={"format": "json"}, timeout=10)
        if answer.status_code == 200:
            page = answer.json()
            if page["state"] in ("done", "failed", "skipped"):
                return page
        if time.monotonic() > deadline:
            break
    raise CheckError(f"After {_SECONDS} s the run is {page['state']!r}: {page['verdict']}")


def pushes(session: requests.Session, web: str, key: str) -> Iterator[str]:
    """The lines of server-sent events about `key`, the signs of life between them included."""
    try:
        with session.get(
            f"{web}/events/", params={"key": key}, stream=True, timeout=(10, _SECONDS)
        ) as stream:
            stream.raise_for_status()
            yield from (line.decode() for line in stream.iter_lines(chunk_size=1) if line)
    except requests.exceptions.ReadTimeout:
        return


def _require_plot(session: requests.Session, web: str, run: RunFile) -> None:
    address = f"{web}/plots/{run.instrument.lower()}/{run.run_number}/figure/"
    answer = session.get(address, timeout=10)
    if answer.status_code != 200:
        raise CheckError(f"The run has no plot: {answer.status_code} {answer.text}")
    figures = answer.json()["figures"]
    if not any(trace for figure in figures for trace in figure["data"]):
        raise CheckError("The run's plot has no trace.")
