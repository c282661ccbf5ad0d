"""Routes and queues of a site: what is refused, what the commands say, what they change."""

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from workflow_manager import queues, routes
from workflow_manager.domain import destinations as names
from workflow_manager.models import Instrument, Queue, Route
from workflow_manager.queues import RoutingError

pytestmark = pytest.mark.django_db

READY = names.POSTPROCESS_DATA_READY
HIMEM = names.HIGH_MEMORY_REDUCTION_JOBS


@pytest.fixture(autouse=True)
def arcs() -> Instrument:
    Instrument.objects.create(name="hysa")
    return Instrument.objects.create(name="arcs", facility="SNS")


def command(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> Any:
    return json.loads(command(*arguments, "--json"))


def test_a_route_is_stored_with_who_and_when(arcs: Instrument) -> None:
    first = routes.set_route("ARCS", "postprocess.data_ready", ["x.data_ready"], by="ann")
    again = routes.set_route("arcs", READY, [names.CATALOG_JOBS, HIMEM], by="bob")
    route = Route.objects.get()
    assert (route.instrument, route.queue) == (arcs, READY)
    assert route.targets == [names.CATALOG_JOBS, HIMEM]
    assert route.changed_by == "bob"
    assert again.changed_at > first.changed_at


@pytest.mark.parametrize(
    ("instrument", "queue", "targets", "field", "reason"),
    [
        ("arc", READY, [], "instrument", "There is no instrument arc; did you mean ARCS?"),
        ("qqqqqq", READY, [], "instrument", "There is no instrument qqqqqq."),
        ("arcs", "POSTPROCESS.DATA_READ", [], "queue", f"did you mean {READY}"),
        ("arcs", "SMS", [], "queue", "does not read SMS"),
        ("arcs", "/queue/" + READY, [], "queue", "without its prefix"),
        ("arcs", READY, ["A.*"], "targets", "no name of one queue"),
        ("arcs", READY, [HIMEM, "reduction.himem.data_ready"], "targets", "named twice"),
        ("arcs", READY, [READY], "targets", "circles"),
        ("arcs", READY, [names.REDUCTION_COMPLETE], "targets", "circles"),
        ("arcs", READY, ["SITE.DONE"], "targets", "circles"),
        ("arcs", READY, ["dlq"], "targets", "dead letters"),
        ("arcs", names.REDUCTION_JOBS, [HIMEM], "targets", "only hides it"),
        ("arcs", "SITE.JOBS", [HIMEM], "targets", "only hides it"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    instrument: str, queue: str, targets: Sequence[str], field: str, reason: str
) -> None:
    queues.add("SITE.DONE")
    queues.add("SITE.JOBS", is_workflow_input=False)
    with pytest.raises(RoutingError) as caught:
        routes.set_route(instrument, queue, targets, by="ann")
    assert caught.value.field == field
    assert reason in str(caught.value)
    assert not Route.objects.exists()


def test_a_route_may_begin_at_a_queue_of_the_site() -> None:
    queues.add("SITE.DONE")
    routes.set_route("arcs", "SITE.DONE", ["SITE.NEXT"], by="ann")
    assert told("routes", "list")[0]["targets"] == ["SITE.NEXT"]


def test_a_wish_without_a_queue_of_its_own_may_have_a_route(arcs: Instrument) -> None:
    wish = names.REDUCTION_CATALOG_REQUEST
    routes.set_route("arcs", wish, [], by="ann")
    assert routes.what_follows(arcs, wish).is_stopped
    with pytest.raises(RoutingError, match="circles"):
        routes.set_route("arcs", READY, [wish], by="ann")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (READY, "built in"),
        ("reduction.complete", "built in"),
        (names.REDUCTION_JOBS, "Agents take their work"),
        (names.SCRIPT_REQUESTS, "Agents take their work"),
        ("DLQ", "dead letters"),
        ("ExpiryQueue", "dead letters"),
        (">", "no name of one queue"),
        ("SITE.NEXT", "round in circles"),
    ],
)
def test_some_queues_cannot_be_read(name: str, reason: str) -> None:
    routes.set_route("arcs", READY, ["SITE.NEXT"], by="ann")
    with pytest.raises(RoutingError, match=reason):
        queues.add(name)
    assert not Queue.objects.exists()


def test_rows_that_somebody_wrote_by_hand_are_not_read_if_they_must_not_be() -> None:
    for name in (">", "REDUCTION.DATA_READY", "lower.case", "GOOD.ONE", "DLQ"):
        Queue.objects.create(name=name)
    found = queues.site_inputs()
    assert found.names == ("GOOD.ONE",)
    assert found.unfit.keys() == {">", "REDUCTION.DATA_READY", "lower.case", "DLQ"}
    queues.remove(">")
    queues.remove("lower.case")
    assert queues.site_inputs().unfit.keys() == {"REDUCTION.DATA_READY", "DLQ"}


def test_queues_are_removed_unless_a_route_begins_there() -> None:
    queues.add("SITE.DONE")
    routes.set_route("arcs", "SITE.DONE", ["SITE.NEXT"], by="ann")
    with pytest.raises(RoutingError, match=r"ARCS has a route for SITE\.DONE; clear that first"):
        queues.remove("site.done")
    routes.clear_routes("arcs", "SITE.DONE")
    queues.remove("site.done")
    with pytest.raises(RoutingError, match="built in and cannot be removed"):
        queues.remove(READY)
    with pytest.raises(RoutingError, match="The site has no queue NONE"):
        queues.remove("NONE")


def test_a_dry_run_tells_before_and_after_and_changes_nothing() -> None:
    said = command("routes", "set", "arcs", READY, names.CATALOG_JOBS, HIMEM, "--dry-run")
    assert "before: sends CATALOG.ONCAT.DATA_READY, then REDUCTION.DATA_READY." in said
    assert "after:  sends CATALOG.ONCAT.DATA_READY, then REDUCTION.HIMEM.DATA_READY." in said
    assert "REDUCTION.COMPLETE: sends REDUCTION_CATALOG.DATA_READY." in said
    assert "Nothing was changed." in said
    assert not Route.objects.exists()


def test_a_route_without_targets_says_that_it_stops_the_run() -> None:
    said = command("routes", "set", "arcs", READY, "--by", "ann")
    assert "after:  nothing follows: the run stops there on purpose" in said
    assert Route.objects.get().changed_by == "ann"
    assert "ARCS: POSTPROCESS.DATA_READY → nothing" in command("routes", "list")
    assert "stops there on purpose" in command("routes", "show", "arcs")


def test_clear_goes_back_to_the_rules(arcs: Instrument) -> None:
    routes.set_route("arcs", READY, [], by="ann")
    routes.set_route("arcs", names.REDUCTION_JOBS, [], by="ann")
    assert "Nothing was changed." in command("routes", "clear", "arcs", READY, "--dry-run")
    assert len(routes.routes_of(arcs)) == 2
    answer = told("routes", "clear", "arcs", READY)
    changed = next(each for each in answer["queues"] if each["queue"] == READY)
    assert changed["before"]["is_stopped"] is True
    assert changed["after"]["sent"] == [names.CATALOG_JOBS, names.REDUCTION_JOBS]
    assert list(routes.routes_of(arcs)) == [names.REDUCTION_JOBS]
    command("routes", "clear", "ARCS")
    assert routes.routes_of(arcs) == {}
    assert "No routes" in command("routes", "list", "arcs")


def test_the_limit_of_an_instrument_is_shown(arcs: Instrument) -> None:
    Instrument.objects.filter(id=arcs.id).update(jobs_in_flight=3)
    assert "ARCS: at most 3 jobs at once." in command("routes", "show", "arcs")
    assert told("routes", "show", "arcs")["jobs_in_flight"] == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["routes", "set", "arc", READY], "did you mean ARCS"),
        (["routes", "show", "nowhere"], "There is no instrument nowhere"),
        (["routes", "list", "nowhere"], "There is no instrument nowhere"),
        (["routes", "clear", "arcs", READY], "ARCS has no route for POSTPROCESS.DATA_READY"),
        (["queues", "add", READY], "built in"),
        (["queues", "remove", READY], "built in"),
    ],
)
def test_commands_fail_with_the_sentence(arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        command(*arguments)
    assert caught.value.returncode == 1


def test_queues_are_listed_with_what_the_broker_refuses() -> None:
    assert "added no queues" in command("queues", "list")
    assert "SITE.DONE is read from now on" in command("queues", "add", "site.done")
    command("queues", "add", "SITE.JOBS", "--not-read")
    queues.report_refused({"/queue/SITE.DONE": "not authorized"})
    said = command("queues", "list")
    assert "SITE.DONE  read\n" in said
    assert "SITE.JOBS  not read\n" in said
    assert "Not granted: /queue/SITE.DONE: not authorized" in said
    queues.report_refused({})
    answer = told("queues", "list")
    assert answer["refused"] == {}
    assert {"name": "SITE.JOBS", "is_workflow_input": False} in answer["queues"]
    command("queues", "remove", "site.done")
    assert queues.site_inputs().names == ()
