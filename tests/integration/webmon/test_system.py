"""The view of the system's health, rejected messages that people settle, and discrepancies."""

import datetime as dt
import logging
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener.models import Gap, ListenerProcess, UnreadMessage
from tests.integration.webmon import rows
from tests.integration.webmon.reported import hear
from workflow_manager.domain.steps import Phase
from workflow_manager.models import (
    Agent,
    Discrepancy,
    Event,
    Instrument,
    Job,
    ManagerProcess,
    OutboxMessage,
    RefusedSubscription,
    RejectedMessage,
)

GOOD = (
    b'{"instrument": "ARCS", "run_number": 7, "ipts": "IPTS-1", "facility": "SNS",'
    b' "data_file": "/SNS/ARCS/IPTS-1/nexus/ARCS_7.nxs.h5"}'
)


def page(client: Client, address: str = "/system/") -> str:
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str = "/system/") -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def ago(**interval: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**interval)


def a_good_system() -> None:
    ManagerProcess.objects.create(
        name="host:1",
        is_connected=True,
        handled=12,
        last_message_at=ago(seconds=2),
        lag_seconds=0.031,
    )
    Agent.objects.create(name="autoreducer3", slots=4, pid="4711")
    ListenerProcess.objects.create(
        name="listening:7",
        is_active=True,
        is_connected=True,
        values=4711000,
        shed=12,
        lag=dt.timedelta(seconds=0.217),
    )
    rows.add_run("arcs", 1, phases=(Phase.DONE, Phase.STARTED, Phase.WAITING))
    Job.objects.filter(phase=Phase.STARTED.value).update(lease_until=timezone.now())


def test_every_part_is_shown_with_its_age(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    a_good_system()
    OutboxMessage.objects.create(destination="/queue/Q", body=b"{}", created_at=ago(seconds=90))
    rows.reject()
    arcs = Instrument.objects.get()
    Discrepancy.objects.create(instrument=arcs, number=2, kind="number missing")
    Discrepancy.objects.create(
        instrument=arcs, number=3, kind="number missing", settled_at=timezone.now()
    )
    with django_assert_max_num_queries(12):
        shown = value(admin)
    assert (shown["tone"], shown["broker"]) == ("good", "good")
    assert shown["managers"][0]["liveness"] == "ok"
    assert shown["outbox"]["depth"] == 1
    assert [job["run_number"] for job in shown["agents"][0]["jobs"]] == [1]
    assert shown["agents"][0]["health"]["running"] == 1
    assert shown["queues"][0]["queue"] == "REDUCTION.DATA_READY"
    assert shown["rejected"] == 1
    assert [(each["instrument"], each["count"]) for each in shown["discrepancies"]] == [("arcs", 1)]
    assert [each["process"]["name"] for each in shown["listeners"]] == ["listening:7"]
    text = page(admin)
    assert "listening:7" in text and "4,711,000" in text and "217 ms" in text
    assert "Every part gives its signs of life." in text
    assert "1 of 4" in text and "31 ms" in text and "4711" in text
    assert "oldest" in text and 'href="/report/arcs/1/"' in text


def test_the_part_that_is_read_again_is_the_page_s_part(admin: Client) -> None:
    answer = admin.get("/system/", headers={"HX-Request": "true", "HX-Target": "parts"})
    text = answer.content.decode().strip()
    assert text.startswith('<div id="parts"') and "every 5s" in text
    assert "<html" not in text


def cause(client: Client) -> str:
    return str(value(client)["sentence"])


def test_the_first_ill_part_is_the_cause(admin: Client) -> None:
    assert "No workflow manager was ever heard" in cause(admin)
    a_good_system()
    Agent.objects.create(name="old", seen_at=ago(days=3))
    assert "signs of life" in cause(admin)
    Agent.objects.create(name="late", seen_at=ago(minutes=3))
    assert cause(admin) == "Everything works but for agents that are late: late."
    ListenerProcess.objects.update(lag=dt.timedelta(seconds=12))
    assert "12 s behind" in cause(admin)
    ListenerProcess.objects.update(is_connected=False)
    assert "does not reach the broker" in cause(admin)
    ListenerProcess.objects.update(is_active=False)
    assert "none writes" in cause(admin)
    ListenerProcess.objects.update(alive_at=ago(minutes=3))
    assert "No DASMON listener runs" in cause(admin)
    Agent.objects.update(seen_at=ago(minutes=3))
    assert "No agent gives a sign of life" in cause(admin)
    ManagerProcess.objects.update(is_connected=False)
    assert "broker is away" in cause(admin)
    ManagerProcess.objects.update(seen_at=ago(minutes=2))
    assert "No workflow manager runs" in cause(admin)
    assert value(admin)["tone"] == "bad"


def test_the_listener_s_page_says_what_was_lost(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    a_good_system()
    arcs = Instrument.objects.get()
    Gap.objects.create(
        instrument=arcs, began_at=ago(seconds=74), ended_at=ago(seconds=60), lost=5, reason="shed"
    )
    Gap.objects.create(began_at=ago(days=3), ended_at=ago(days=2), reason="long ago")
    UnreadMessage.objects.create(
        destination="SNS.ARCS.APP.DASMON", reason="no <b>", times=7, body=b"<script>\x00\xff"
    )
    hear(arcs, "dasmon", ago=600)
    hear(arcs, "sms")
    with django_assert_max_num_queries(12):
        shown = value(admin, "/system/listener/")
    assert (shown["tone"], shown["sentence"][:28]) == ("good", "The DASMON listener writes; ")
    assert [(gap["instrument"], gap["lasted"]) for gap in shown["gaps"]] == [
        ("arcs", pytest.approx(14, abs=0.1))
    ]
    assert [each["sign"]["name"] for each in shown["silences"]] == ["dasmon"]
    assert shown["disk"][0].startswith("The history of values takes ")
    text = page(admin, "/system/listener/")
    assert "no &lt;b&gt;" in text and "&lt;script&gt;\\x00\\xff" in text
    ListenerProcess.objects.all().delete()
    assert "No DASMON listener was heard" in page(admin, "/system/listener/")


def test_an_empty_system_explains_itself(admin: Client) -> None:
    text = page(admin)
    assert "manage.py run_workflow_manager" in text
    assert "No agent was heard" in text and "No job is open" in text


def test_a_queue_that_the_broker_refuses_is_shown_with_the_reason(admin: Client) -> None:
    assert "What the broker does not let us read" not in admin.get("/system/").content.decode()
    RefusedSubscription.objects.create(destination="/queue/SITE.X", reason="no right to consume")
    RefusedSubscription.objects.create(destination="/queue/ActiveMQ.DLQ", reason="not there")
    page = admin.get("/system/").content.decode()
    assert "/queue/SITE.X" in page
    assert "no right to consume" in page
    assert "ActiveMQ.DLQ" not in page


def test_discrepancies_are_listed_by_instrument(admin: Client) -> None:
    rows.add_run("arcs", 1)
    rows.add_run("cncs", 1)
    for instrument in Instrument.objects.all():
        Discrepancy.objects.create(
            instrument=instrument, number=1, kind="run without file", data_file="/SNS/<b>"
        )
        Discrepancy.objects.create(instrument=instrument, number=2, kind="number missing")
    text = page(admin, "/system/discrepancies/?instrument=ARCS")
    assert 'href="/report/arcs/1/"' in text and "cncs" not in text
    assert "/SNS/&lt;b&gt;" in text and 'href="/report/arcs/2/"' not in text
    assert len(value(admin, "/system/discrepancies/")["rows"]) == 4
    assert "Nothing disagrees" in page(admin, "/system/discrepancies/?instrument=%00x")


def test_a_message_is_replayed_and_says_what_came_of_it(
    admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    message = rows.reject(GOOD, "the facility was not known then")
    address = f"/system/rejected/{message.id}/"
    assert "Replay all like this" in page(admin, address)
    with caplog.at_level(logging.INFO):
        answer = admin.post(f"{address}replay/")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "ARCS 7: POSTPROCESS.DATA_READY is recorded." in text
    assert "Replayed</strong> by admin" in text and "Replay all like this" not in text
    assert f"admin: replay message {message.id}: ARCS 7" in caplog.text
    events = Event.objects.count()
    again = admin.post(f"{address}replay/")
    assert again.status_code == 409
    assert "was replayed by admin" in again.content.decode()
    assert Event.objects.count() == events


def test_what_still_cannot_be_handled_stays_open(admin: Client) -> None:
    message = rows.reject()
    answer = admin.post(f"/system/rejected/{message.id}/replay/")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.content.decode()
    message.refresh_from_db()
    assert message.outcome == "open"


def test_a_corrected_body_is_replayed(admin: Client) -> None:
    message = rows.reject()
    address = f"/system/rejected/{message.id}/replay/"
    answer = admin.post(address, {"body": GOOD.decode()})
    assert "ARCS 7" in answer.content.decode()
    message.refresh_from_db()
    assert (message.outcome, bytes(message.body) != GOOD) == ("replayed", True)


def test_all_like_one_are_replayed(admin: Client) -> None:
    for number in range(1, 4):
        rows.reject(GOOD.replace(b"7", str(number).encode()), f"run_number {number} is odd")
    other = rows.reject(GOOD, "something else")
    last = RejectedMessage.objects.get(reason="run_number 3 is odd")
    answer = admin.post(f"/system/rejected/{last.id}/replay_like/")
    assert "3 replayed, 0 still open." in answer.content.decode()
    other.refresh_from_db()
    assert other.outcome == "open"


def test_a_message_is_discarded_with_a_reason(admin: Client) -> None:
    message = rows.reject()
    address = f"/system/rejected/{message.id}/"
    refused = admin.post(f"{address}discard/", {"reason": " \0"})
    assert refused.status_code == 409
    assert "A reason is needed" in refused.content.decode()
    text = admin.post(f"{address}discard/", {"reason": "a <test>"}).content.decode()
    assert "Discarded</strong> by admin" in text and "a &lt;test&gt;" in text


def test_the_list_shows_open_ones_and_on_wish_all(admin: Client) -> None:
    rows.reject(reason="still open")
    settled = rows.reject(reason="is settled")
    RejectedMessage.objects.filter(id=settled.id).update(outcome="discarded", outcome_by="jdoe")
    text = page(admin, "/system/rejected/")
    assert "still open" in text and "is settled" not in text
    text = page(admin, "/system/rejected/?outcome=all")
    assert "still open" in text and "is settled" in text and "jdoe" in text
    assert value(admin, "/dasmon/")["now"]["health"]["rejected"] == 1
    RejectedMessage.objects.update(outcome="replayed")
    assert "No rejected message is open" in page(admin, "/system/rejected/")
