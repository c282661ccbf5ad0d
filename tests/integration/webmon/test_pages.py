"""Pages from rows of a real PostgreSQL."""

import itertools
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from tests.integration.webmon import rows
from webmon.runs.pages import EVENTS
from webmon.ui.views import server_error
from workflow_manager import batches, selectors
from workflow_manager.domain import destinations as names
from workflow_manager.domain.states import RunState, run_state
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Event, Instrument, Run
from workflow_manager.selectors import RunFilter

D, F, S, W, R, K = (
    Phase.DONE,
    Phase.FAILED,
    Phase.STARTED,
    Phase.WAITING,
    Phase.REQUESTED,
    Phase.SKIPPED,
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def test_an_empty_facility_explains_itself(user: Client) -> None:
    text = page(user, "/dasmon/")
    assert "No runs yet" in text
    assert "POSTPROCESS.DATA_READY" in text


def test_tiles_come_from_rows(user: Client) -> None:
    rows.add_run("arcs", 1, ago=30, phases=(D, D, D))
    rows.add_run("arcs", 2, ago=20, phases=(D, F, W))
    rows.add_run("arcs", 3, ago=10, phases=(D, S, W))
    rows.add_run("hb2a", 7, ago=5, phases=(W, W, W), has_data=False, facility="HFIR")
    arcs, hb2a = value(user, "/dasmon/")["now"]["tiles"]
    assert (arcs["run"]["number"], arcs["run"]["state"]) == (3, "running")
    assert arcs["last_reduction"]["number"] == 2
    assert sum(bar["runs"] for bar in arcs["bars"]) == 3
    assert sum(bar["failed"] for bar in arcs["bars"]) == 1
    assert (hb2a["facility"], hb2a["run"]["state"]) == ("HFIR", "acquiring")
    assert hb2a["last_reduction"] is None
    text = page(user, "/dasmon/")
    assert 'href="/report/arcs/3/"' in text
    assert "ARCS" in text and "HFIR" in text


def test_an_instrument_without_runs_has_a_quiet_tile(user: Client) -> None:
    Instrument.objects.create(name="cg3", facility="HFIR")
    (tile,) = value(user, "/dasmon/")["now"]["tiles"]
    assert tile["run"] is None
    assert "idle" in page(user, "/dasmon/")


def test_the_run_page_says_what_became_of_the_run(user: Client) -> None:
    rows.add_run("arcs", 1, phases=(D, D, D))
    run = rows.add_run("arcs", 214583, phases=(D, F, W))
    rows.add_run("arcs", 214600)
    text = page(user, "/report/arcs/214583/")
    assert "Reduction failed after 1.8 s on agent autoreducer3: File does not exist" in text
    assert all(f"line {n}" in text for n in range(40))
    assert 'href="/report/arcs/1/"' in text and 'href="/report/arcs/214600/"' in text
    assert run.data_file in text
    assert "Reduction failed" in text and names.REDUCTION_ERROR in text
    assert value(user, "/report/ARCS/214583/")["state"] == "failed"


def test_a_missing_script_is_the_reason(user: Client) -> None:
    rows.add_run("arcs", 5, phases=(D, K, W))
    assert "there is no reduction script for ARCS" in page(user, "/report/arcs/5/")


@pytest.mark.parametrize(
    ("part", "address", "begins"),
    [
        ("now", "/dasmon/", '<div id="now"'),
        ("runs", "/dasmon/", '<tbody id="runs"'),
        ("runs", "/report/arcs/", '<tbody id="runs"'),
        ("progress", "/report/arcs/214583/", '<div id="progress"'),
        ("events", "/report/arcs/214583/", '<tbody id="events"'),
    ],
)
def test_a_part_is_the_same_as_in_the_whole_page(
    part: str, address: str, begins: str, user: Client
) -> None:
    rows.add_run()
    text = page(user, address, HX_Request="true", HX_Target=part).strip()
    assert text.startswith(begins)
    assert "<html" not in text
    assert begins in page(user, address)


def test_lists_go_on_without_gap_or_repetition(user: Client) -> None:
    made = [rows.add_run("arcs", n, ago=1000 - n // 3, phases=(W, W, W)).number for n in range(120)]
    seen: list[int] = []
    address = "/report/arcs/"
    while True:
        part = value(user, address)["runs"]
        seen += [row["number"] for row in part["rows"]]
        if not part["older"]:
            break
        address = "/report/arcs/?before=" + part["older"].replace("+", "%2B")
    assert sorted(seen) == made
    assert len(seen) == len(made)


def test_the_address_holds_the_filter(user: Client) -> None:
    rows.add_run("arcs", 1, phases=(D, F, W))
    rows.add_run("arcs", 2)
    rows.add_run("cncs", 3, phases=(D, F, W), proposal="IPTS-5")
    found = value(user, "/dasmon/?state=failed")["runs"]["rows"]
    assert [row["number"] for row in found] == [3, 1]
    found = value(user, "/dasmon/?state=failed&instrument=arcs")["runs"]["rows"]
    assert [row["number"] for row in found] == [1]
    found = value(user, "/report/?proposal=ipts-5")["runs"]["rows"]
    assert [row["number"] for row in found] == [3]
    assert "No run matches" in page(user, "/dasmon/?state=acquiring")


@pytest.mark.parametrize("text", ["x", "2026-01-01~", "2026-01-01T00:00:00~1", "~", "9~9", "%00"])
def test_a_place_that_is_none_is_not_found(text: str, user: Client) -> None:
    assert user.get(f"/report/?before={text}").status_code == 404


@pytest.mark.parametrize("query", ["state=%00", "instrument=%00x", "proposal=%00", "state=odd"])
def test_odd_filters_do_no_harm(query: str, user: Client) -> None:
    assert user.get(f"/report/?{query}").status_code == 200


def test_states_in_sql_are_those_of_the_domain(db: None) -> None:
    expected: dict[int, RunState] = {}
    for number, phases in enumerate(itertools.product(Phase, repeat=3)):
        for has_data in (True, False):
            run = rows.add_run("arcs", 2 * number + has_data, phases=(W, W, W), has_data=has_data)
            fields = {step.value: phase for step, phase in zip(Step, phases, strict=True)}
            Run.objects.filter(id=run.id).update(**fields)
            by_step = dict(zip(Step, phases, strict=True))
            expected[run.number] = run_state(by_step, has_data=has_data)
    found = {
        run.number: state
        for state in RunState
        for run in selectors.latest_runs(RunFilter(state=state), limit=1000)
    }
    assert found == expected


@pytest.mark.parametrize(
    ("words", "leads_to"),
    [
        ("214583", "/report/arcs/214583/"),
        ("arcs 214583", "/report/arcs/214583/"),
        ("ARCS_214583", "/report/arcs/214583/"),
        ("Arcs", "/report/arcs/"),
        ("ipts-27800", "/report/?proposal=IPTS-27800"),
    ],
)
def test_search_goes_there(words: str, leads_to: str, user: Client) -> None:
    rows.add_run()
    assert user.get("/search/", {"q": words})["Location"] == leads_to


@pytest.mark.parametrize("words", ["", "9" * 40, "arcs " + "9" * 40, "nothing", HOSTILE, "\0", "²"])
def test_search_that_finds_nothing_helps(words: str, user: Client) -> None:
    rows.add_run()
    text = user.get("/search/", {"q": words}).content.decode()
    assert "Nothing found" in text
    assert "<script>alert" not in text


def test_search_offers_the_runs_of_one_number(user: Client) -> None:
    rows.add_run("arcs", 7)
    rows.add_run("cncs", 7)
    text = page(user, "/search/?q=7")
    assert "/report/arcs/7/" in text and "/report/cncs/7/" in text


def test_texts_of_strangers_stay_texts(admin: Client) -> None:
    run = rows.add_run("arcs", 9, phases=(D, F, W), error=HOSTILE, agent=HOSTILE, proposal=HOSTILE)
    rows.add_event(run, HOSTILE, information=HOSTILE, error=HOSTILE)
    message = rows.reject(HOSTILE.encode(), HOSTILE)
    Instrument.objects.create(name="x<b>y", facility=HOSTILE)
    batch = batches.request_step_of_many([run.id], None, by=HOSTILE, reason=HOSTILE)
    addresses = [
        "/dasmon/",
        "/report/arcs/",
        "/report/arcs/9/",
        "/system/rejected/",
        f"/system/rejected/{message.id}/",
        "/system/batches/",
        f"/system/batches/{batch.id}/",
        f"/system/batches/{batch.id}/cancel/",
    ]
    for address in addresses:
        text = page(admin, address)
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text and "<img src=x" not in text and "<b>y" not in text


@pytest.mark.parametrize(
    ("address", "statements"),
    [
        ("/dasmon/", 12),
        ("/report/", 8),
        ("/report/arcs/", 8),
        ("/report/arcs/1/", 10),
        ("/system/rejected/", 6),
    ],
)
def test_pages_ask_the_database_little(
    address: str,
    statements: int,
    admin: Client,
    user: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for instrument, number in itertools.product(["arcs", "cncs", "seq", "nomad"], range(20)):
        rows.add_run(instrument, number)
    for _ in range(30):
        rows.reject()
    reader = admin if "system" in address else user
    with django_assert_max_num_queries(statements):
        assert reader.get(address).status_code == 200


def test_every_answer_is_protected(user: Client) -> None:
    rows.add_run()
    for address in ("/dasmon/", "/ht/", "/no/such/page/", "/users/logout"):
        policy = user.get(address)["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    policy = user.get("/report/arcs/214583/")["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src-attr 'unsafe-inline'" in policy


def test_pages_have_no_inline_script_or_style(admin: Client) -> None:
    run = rows.add_run(phases=(D, F, W))
    batch = batches.request_step_of_many([run.id], Step.CATALOGUING, by="admin").id
    of_the_run = ("/report/arcs/214583/", "/report/arcs/214583/reduce/")
    of_batches = ("", "new/", f"{batch}/", f"{batch}/cancel/")
    of_the_system = ("/system/", "/system/discrepancies/", "/system/rejected/")
    wide = (f"/system/batches/{part}" for part in of_batches)
    for address in ("/dasmon/", "/report/", *of_the_run, *of_the_system, *wide):
        text = page(admin, address)
        assert " style=" not in text and "<style" not in text and " onclick" not in text
        assert all(" src=" in tag for tag in text.split("<script")[1:])
        assert (
            "//" not in text.replace("http://www.w3.org/", "").split("<body")[0].split("<head")[1]
        )


def test_rejected_messages_show_their_bytes(admin: Client) -> None:
    message = rows.reject(b'\xff{"a": "<b>"}\x00', "not UTF-8")
    text = page(admin, f"/system/rejected/{message.id}/")
    assert "\\xff{&quot;a&quot;: &quot;&lt;b&gt;&quot;}\\x00" in text
    assert "Body, laid out" not in text
    assert "Body, laid out" in page(admin, f"/system/rejected/{rows.reject(b'[1]').id}/")


def test_the_events_of_a_long_story_go_on(user: Client) -> None:
    run = rows.add_run("arcs", 5, phases=(D, K, W))
    made = 2 * EVENTS
    first = Event.objects.filter(run=run).first()
    assert first is not None
    Event.objects.bulk_create(
        Event(run=run, queue=names.POSTPROCESS_INFO, message_id=f"ID:{n}", body={})
        for n in range(made)
    )
    seen: list[int] = []
    address, parts = "/report/arcs/5/", 0
    while True:
        part = value(user, address)
        seen += [event["id"] for event in part["events"]]
        parts += 1
        assert "no reduction script" in part["verdict"]["before"]
        if not part["older"]:
            break
        address = "/report/arcs/5/?before=" + part["older"].replace("+", "%2B")
    assert parts == 3
    assert len(seen) == len(set(seen)) == Event.objects.filter(run=run).count()
    text = page(user, "/report/arcs/5/")
    assert f"{EVENTS} events are shown, there are more." in text
    assert 'rel="next" href="?before=' in text


def answered(error: Exception) -> tuple[HttpResponse, str]:
    """What a page says while this error is handled."""

    def fail() -> None:
        raise error

    try:
        fail()
    except type(error):
        response = server_error(RequestFactory().get("/"))
    return response, response.content.decode()


def test_without_the_database_a_page_says_when_it_tries_again() -> None:
    response, text = answered(OperationalError("the connection is closed"))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "The database does not answer" in text
    assert '<meta http-equiv="refresh" content="5">' in text


def test_another_error_is_ours() -> None:
    response, text = answered(ValueError("a mistake"))
    assert response.status_code == 500
    assert "broke on our side" in text
