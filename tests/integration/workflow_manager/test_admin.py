"""Routes, queues and limits at /database/, for staff who may."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from workflow_manager import queues, routes
from workflow_manager.domain import destinations as names
from workflow_manager.models import Instrument, Queue, Route

pytestmark = pytest.mark.django_db

READY = names.POSTPROCESS_DATA_READY
PLACES = ("route", "queue", "instrument")
ADD_ROUTE = "/database/workflow_manager/route/add/"
ADD_QUEUE = "/database/workflow_manager/queue/add/"


@pytest.fixture(autouse=True)
def _files_without_hashed_names(settings: Settings) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}


@pytest.fixture
def arcs() -> Instrument:
    return Instrument.objects.create(name="arcs", facility="SNS")


def client_of(*permissions: str, **attributes: bool) -> Client:
    user = User.objects.create(username="ann", **attributes)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff() -> Client:
    wanted = [f"{verb}_{noun}" for verb in ("add", "change", "delete", "view") for noun in PLACES]
    return client_of(*wanted, is_staff=True)


def wish(arcs: Instrument, targets: str, **more: str) -> dict[str, str]:
    return {"instrument": str(arcs.pk), "queue": READY, "targets": targets, **more}


@pytest.mark.parametrize("place", PLACES)
def test_who_is_not_staff_gets_nothing(arcs: Instrument, place: str) -> None:
    client = client_of(*(f"{verb}_{place}" for verb in ("add", "change", "view")))
    for address in (f"/database/workflow_manager/{place}/", ADD_ROUTE, ADD_QUEUE):
        assert client.get(address).status_code == 302
    assert client.post(ADD_ROUTE, wish(arcs, "")).status_code == 302
    assert not Route.objects.exists()


@pytest.mark.parametrize("place", PLACES)
def test_staff_without_the_right_get_nothing(arcs: Instrument, place: str) -> None:
    client = client_of(is_staff=True)
    assert client.get(f"/database/workflow_manager/{place}/").status_code == 403
    assert client.post(ADD_ROUTE, wish(arcs, "")).status_code == 403
    assert not Route.objects.exists()


def test_who_may_only_look_changes_nothing(arcs: Instrument) -> None:
    route = routes.set_route("arcs", READY, [], by="bob")
    client = client_of("view_route", is_staff=True)
    address = f"/database/workflow_manager/route/{route.pk}/change/"
    assert "stops there on purpose" in client.get(address).content.decode()
    assert client.post(address, {"targets": "X"}).status_code == 403


def test_nothing_else_of_the_workflow_is_here(staff: Client) -> None:
    for model in ("run", "job", "event", "outboxmessage", "rejectedmessage", "batch"):
        assert staff.get(f"/database/workflow_manager/{model}/").status_code == 404


def test_a_route_is_added_with_the_user_and_shown(staff: Client, arcs: Instrument) -> None:
    page = staff.get(ADD_ROUTE).content.decode()
    assert "press Preview" in page
    staff.post(ADD_ROUTE, wish(arcs, "catalog.oncat.data_ready\nREDUCTION.HIMEM.DATA_READY"))
    route = Route.objects.get()
    assert route.targets == [names.CATALOG_JOBS, names.HIGH_MEMORY_REDUCTION_JOBS]
    assert route.changed_by == "ann"
    listed = staff.get("/database/workflow_manager/route/").content.decode()
    assert "sends CATALOG.ONCAT.DATA_READY, then REDUCTION.HIMEM.DATA_READY" in listed
    shown = staff.get(f"/database/workflow_manager/route/{route.pk}/change/").content.decode()
    assert "catalog" not in shown.split("<textarea")[1].split("</textarea>")[0]
    assert "sends CATALOG.ONCAT.DATA_READY, then REDUCTION.HIMEM.DATA_READY" in shown


def test_a_preview_shows_and_saves_nothing(staff: Client, arcs: Instrument) -> None:
    page = staff.post(ADD_ROUTE, wish(arcs, "", _preview="1")).content.decode()
    assert "now: sends CATALOG.ONCAT.DATA_READY, then REDUCTION.DATA_READY" in page
    assert "as proposed: nothing follows: the run stops there on purpose" in page
    assert "Please correct" not in page
    assert not Route.objects.exists()


def test_a_preview_of_a_change(staff: Client, arcs: Instrument) -> None:
    route = routes.set_route("arcs", READY, [], by="bob")
    address = f"/database/workflow_manager/route/{route.pk}/change/"
    page = staff.post(address, {"targets": "CALVERA.RAW.DATA_READY", "_preview": "1"})
    assert "as proposed: sends CALVERA.RAW.DATA_READY; leaves out" in page.content.decode()
    assert routes.routes_of(arcs) == {READY: []}
    staff.post(address, {"targets": "CALVERA.RAW.DATA_READY"})
    assert routes.routes_of(arcs) == {READY: ["CALVERA.RAW.DATA_READY"]}


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ("A.*", "no name of one queue"),
        ("REDUCTION.COMPLETE", "round in circles"),
        ("X.Y\nx.y", "named twice"),
    ],
)
def test_a_bad_route_is_refused_with_the_sentence(
    staff: Client, arcs: Instrument, targets: str, reason: str
) -> None:
    for extra in ({}, {"_preview": "1"}):
        page = staff.post(ADD_ROUTE, wish(arcs, targets, **extra)).content.decode()
        assert reason in page
        assert "Please correct the error below" in page
        assert "Correct the route, and press Preview." in page
    assert not Route.objects.exists()


def test_routes_are_removed(staff: Client, arcs: Instrument) -> None:
    route = routes.set_route("arcs", READY, [], by="bob")
    staff.post(f"/database/workflow_manager/route/{route.pk}/delete/", {"post": "yes"})
    assert routes.routes_of(arcs) == {}
    routes.set_route("arcs", READY, [], by="bob")
    chosen = str(Route.objects.get().pk)
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    staff.post("/database/workflow_manager/route/", action)
    assert routes.routes_of(arcs) == {}


def test_queues_are_added_changed_and_removed(staff: Client) -> None:
    staff.post(ADD_QUEUE, {"name": "site.done", "is_workflow_input": "on"})
    assert queues.site_inputs().names == ("SITE.DONE",)
    queue = Queue.objects.get()
    queues.report_refused({"/queue/SITE.DONE": "not authorized"})
    assert "not authorized" in staff.get("/database/workflow_manager/queue/").content.decode()
    staff.post(f"/database/workflow_manager/queue/{queue.pk}/change/", {})
    assert queues.site_inputs().names == ()
    staff.post(f"/database/workflow_manager/queue/{queue.pk}/delete/", {"post": "yes"})
    assert not Queue.objects.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [(">", "no name of one queue"), ("REDUCTION.COMPLETE", "built in"), ("DLQ", "dead letters")],
)
def test_a_bad_queue_is_refused_with_the_sentence(staff: Client, name: str, reason: str) -> None:
    page = staff.post(ADD_QUEUE, {"name": name, "is_workflow_input": "on"}).content.decode()
    assert reason in page
    assert not Queue.objects.exists()


def test_a_queue_where_a_route_begins_is_kept(staff: Client, arcs: Instrument) -> None:
    queue = queues.add("SITE.DONE")
    routes.set_route("arcs", "SITE.DONE", ["SITE.NEXT"], by="bob")
    address = f"/database/workflow_manager/queue/{queue.pk}/delete/"
    assert "ARCS has a route for SITE.DONE" in staff.get(address).content.decode()
    assert staff.post(address, {"post": "yes"}).status_code in (200, 403)
    assert Queue.objects.exists()


def test_only_the_limit_of_an_instrument_changes(staff: Client, arcs: Instrument) -> None:
    address = f"/database/workflow_manager/instrument/{arcs.pk}/change/"
    staff.post(address, {"name": "other", "facility": "X", "jobs_in_flight": "4"})
    arcs.refresh_from_db()
    assert (arcs.name, arcs.facility, arcs.jobs_in_flight) == ("arcs", "SNS", 4)
    staff.post(address, {"jobs_in_flight": ""})
    arcs.refresh_from_db()
    assert arcs.jobs_in_flight is None
    assert staff.get("/database/workflow_manager/instrument/add/").status_code == 403
    assert staff.post(address.replace("change", "delete"), {"post": "yes"}).status_code == 403
