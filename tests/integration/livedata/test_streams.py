"""Streams stay consecutive and bounded, expire, and tell that they changed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg.conninfo import make_conninfo
from pytest_django.live_server_helper import LiveServer

from livedata import selectors, services
from livedata.domain.keys import plot_key
from livedata.models import Stream, StreamMessage
from livedata.tasks import remove_expired_streams
from tests.integration.livedata.conftest import PASSWORD, SECRET

THREADS = 8
UPLOADS = 50


def add(
    content: bytes = b"[1]", run_number: int = 1, kept: services.Limits = services.KEPT
) -> services.Appended:
    return services.append(
        instrument="ARCS",
        run_number=run_number,
        metadata={"data_type": 0},
        content=content,
        kept=kept,
    )


@pytest.mark.django_db
def test_old_messages_go() -> None:
    for _ in range(services.KEPT.messages + 3):
        add()
    kept = [entry.index for entry in selectors.history("arcs", 1)]
    assert kept == list(range(services.KEPT.messages + 3, 3, -1))


@pytest.mark.django_db
def test_large_messages_push_older_ones_out_but_never_themselves() -> None:
    kept = services.Limits(messages=9, bytes=10)
    remaining = []
    for size in (5, 5, 5, 11, 1):
        add(b"x" * size, kept=kept)
        remaining.append([entry.index for entry in selectors.history("arcs", 1)])
    assert remaining == [[1], [2, 1], [3, 2], [4], [5]]


@pytest.mark.django_db
def test_user_data_never_takes_the_number_of_a_run() -> None:
    add()
    stream = Stream.objects.get()
    add(run_number=stream.id + 2)
    added = services.append_user_data(user="arcs", data_id="a", metadata={}, content=b"1")
    again = services.append_user_data(user="arcs", data_id="a", metadata={}, content=b"2")
    assert added.run_number > stream.id + 2
    assert again == services.Appended(added.run_number, 2)
    assert Stream.objects.get(data_id="a").id == added.run_number


@pytest.mark.django_db
@pytest.mark.parametrize("by_command", [True, False])
def test_what_has_expired_goes(by_command: bool) -> None:
    for run_number in (1, 2, 3):
        add(run_number=run_number)
    yesterday = timezone.now() - timedelta(days=1)
    Stream.objects.filter(run_number=1).update(expires_at=yesterday)
    Stream.objects.filter(run_number=2).update(expires_at=timezone.now() + timedelta(days=1))
    said = StringIO()
    if by_command:
        call_command("purge_expired_data", stdout=said)
        assert said.getvalue() == "Deleted 1 expired runs\n"
    else:
        assert remove_expired_streams() == 1
    assert sorted(Stream.objects.values_list("run_number", flat=True)) == [2, 3]
    assert StreamMessage.objects.count() == 2
    assert services.remove_expired_streams() == 0


@pytest.mark.django_db(transaction=True)
def test_a_committed_change_is_told() -> None:
    listener = psycopg.connect(_address(), autocommit=True)
    with listener:
        listener.execute("LISTEN webmon")
        add(run_number=214583)
        (told,) = list(listener.notifies(timeout=10, stop_after=1))
    assert told.payload == "stream arcs/214583"


def _address() -> str:
    known = connection.get_connection_params()
    return make_conninfo(
        **{name: known[name] for name in ("dbname", "user", "password", "host", "port")}
    )


@pytest.mark.django_db(transaction=True)
def test_simultaneous_uploads_leave_no_gap(live_server: LiveServer, uploads: User) -> None:
    address = f"{live_server.url}/plots/arcs/1"
    form = {"username": "uploads", "password": PASSWORD}

    def upload(number: int) -> int:
        file = {"file": f"<div>{number}</div>"}
        answer = requests.post(f"{address}/upload_plot_data/", data=form, files=file, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = set(threads.map(upload, range(UPLOADS)))
    assert statuses == {200}
    assert Stream.objects.get().last_index == UPLOADS
    indexes = StreamMessage.objects.order_by("index").values_list("index", flat=True)
    assert list(indexes) == list(range(1, UPLOADS + 1))
    key = plot_key("arcs", "1", SECRET)
    newest = requests.get(f"{address}/update/html/", headers={"Authorization": key}, timeout=60)
    message = selectors.newest("arcs", 1)
    assert message is not None
    assert newest.content == message.content


@pytest.mark.django_db(transaction=True)
def test_simultaneous_uploads_of_a_user_make_one_stream(
    live_server: LiveServer, uploads: User
) -> None:
    form = {"username": "uploads", "password": PASSWORD, "data_id": "a"}

    def upload(number: int) -> int:
        return requests.post(
            f"{live_server.url}/plots/me/upload_user_data/",
            data=form,
            files={"file": f"[{number}]"},
            timeout=60,
        ).status_code

    with ThreadPoolExecutor(THREADS) as threads:
        assert set(threads.map(upload, range(20))) == {200}
    stream = Stream.objects.get()
    assert (stream.run_number, stream.last_index) == (stream.id, 20)
