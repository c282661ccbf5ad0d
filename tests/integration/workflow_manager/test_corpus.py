"""F19: the whole corpus through PostgreSQL: recorded, or kept with its reason; no third way."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from django.apps import apps
from hypothesis import given, settings

from tests.corpus import BODIES, Rejection, Run, frames
from tests.corpus.body import FACILITY_ROOT, announcement, data_file
from tests.corpus.verdict import verdict
from tests.integration.workflow_manager.test_record import Arrival
from workflow_manager import models
from workflow_manager.handlers import handle
from workflow_manager.protocol.messages import RunMessage
from workflow_manager.services import identity_of

GOOD = Run("arcs", 9001, "IPTS-27800", "SNS", data_file(9001))

# A broker refuses such a body, and the manager would need ten times its size to keep it.
TOO_LARGE_TO_ARRIVE = "hostile: 100 MB"

# Where a message leaves rows: in the run's tables, or among those that are none.
TABLES = {
    *("workflow_instrument", "workflow_proposal", "workflow_run", "workflow_job"),
    *("workflow_event", "workflow_outbox", "workflow_rejected_message"),
}


@pytest.fixture(scope="module")
def arrivals() -> list[Arrival]:
    """All bodies, and then a message as it should be."""
    bodies = [
        Arrival(body.destination, body.name, body.make(), {"timestamp": "1771500000000"})
        for body in BODIES
        if body.name != TOO_LARGE_TO_ARRIVE
    ]
    good = json.dumps(announcement(GOOD.number)).encode()
    return [*bodies, Arrival("/queue/POSTPROCESS.DATA_READY", "good", good)]


@pytest.mark.django_db(transaction=True)
def test_each_body_is_a_run_or_a_rejection_and_makes_nothing_else(
    arrivals: Sequence[Arrival],
) -> None:
    handle(arrivals, FACILITY_ROOT)
    wanted = {GOOD} | {body.expected for body in BODIES if isinstance(body.expected, Run)}
    assert _runs() == {(run.instrument, run.number, run.proposal) for run in wanted}
    assert _names(models.Instrument) == {run.instrument for run in wanted}
    assert _names(models.Proposal) == {run.proposal for run in wanted}
    _check_events(arrivals)
    _check_rejections(arrivals)
    assert models.Run.objects.get(instrument__name="arcs", number=GOOD.number).jobs.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_deliveries_again_change_nothing(arrivals: Sequence[Arrival]) -> None:
    handle(arrivals, FACILITY_ROOT)
    rows = _all_rows()
    assert {table for table, content in rows.items() if content} == TABLES
    handle(arrivals, FACILITY_ROOT)
    again = _all_rows()
    assert again.keys() == rows.keys()
    for table, content in rows.items():
        assert again[table] == content, table


@pytest.mark.django_db(transaction=True)
def test_what_decoding_takes_can_be_recorded() -> None:
    arrivals = [
        Arrival(destination, f"frame {number}", content)
        for number, (destination, content) in enumerate(frames.frames(7, frames.FRAMES // 10))
    ]
    decoded = [verdict(arrival.destination, arrival.body) for arrival in arrivals]
    messages = [found for found in decoded if isinstance(found, RunMessage)]
    for start in range(0, len(arrivals), 500):
        handle(arrivals[start : start + 500], FACILITY_ROOT)
    assert {(name, number) for name, number, _ in _runs()} == {m.run_key for m in messages}
    assert _names(models.Instrument) == {message.instrument for message in messages}
    assert models.RejectedMessage.objects.count() == len(arrivals) - len(messages)


@settings(settings.get_profile("long"))
@given(frames.destinations, frames.any_frame)
def test_any_bytes_are_a_message_or_a_rejection(destination: str, content: bytes) -> None:
    verdict(destination, content)


@pytest.mark.parametrize("seed", [20260219, 20261121])
def test_changed_messages_by_the_thousand_are_messages_or_rejections(seed: int) -> None:
    found = [
        verdict(destination, content)
        for destination, content in frames.frames(seed, frames.FRAMES // 2)
    ]
    assert {type(each) for each in found} == {RunMessage, str}


def _runs() -> set[tuple[str, int, str]]:
    return set(models.Run.objects.values_list("instrument__name", "number", "proposal__name"))


def _names(model: type[models.Instrument] | type[models.Proposal]) -> set[str]:
    return set(model.objects.values_list("name", flat=True))


def _check_events(arrivals: Iterable[Arrival]) -> None:
    body_of = {arrival.message_id: arrival.body for arrival in arrivals}
    known = set(models.Event.objects.values_list("message_id", flat=True))
    accepted = [body.name for body in BODIES if isinstance(body.expected, Run)]
    missing = [name for name in accepted if identity_of(name, body_of[name]) not in known]
    assert missing == []


def _check_rejections(arrivals: Iterable[Arrival]) -> None:
    body_of = {arrival.message_id: arrival.body for arrival in arrivals}
    expected = {
        body.name: body.expected.words
        for body in BODIES
        if isinstance(body.expected, Rejection) and body.name in body_of
    }
    kept = {row.message_id: row for row in models.RejectedMessage.objects.all()}
    assert kept.keys() == expected.keys()
    for name, words in expected.items():
        assert words in kept[name].reason
        assert bytes(kept[name].body) == body_of[name]


def _all_rows() -> dict[str, list[dict[str, Any]]]:
    """All that the workflow manager owns, less when a run was last looked at."""
    tables = (model for model in apps.get_app_config("workflow_manager").get_models())
    return {
        model._meta.db_table: [
            {name: _plain(value) for name, value in row.items() if name != "updated_at"}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in tables
    }


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
