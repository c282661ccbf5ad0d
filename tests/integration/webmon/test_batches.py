"""Requests for many runs: the question, the batch, and who may steer it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.integration.webmon import rows
from workflow_manager import batches
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Batch, Job
from workflow_manager.selectors import RunFilter

NEW = "/system/batches/new/"
FAILED = (Phase.DONE, Phase.FAILED, Phase.WAITING)


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def some_runs() -> None:
    for number in range(1, 5):
        rows.add_run("arcs", number, phases=FAILED)
    rows.add_run("arcs", 5)
    rows.add_run("cncs", 6, phases=FAILED)


def asked_for(by: str = "scientist") -> Batch:
    some_runs()
    wanted = RunFilter(instrument="arcs", state=RunState.FAILED)
    return batches.request_step_of_many(wanted, Step.REDUCTION, by=by, reason="No vanadium")


def fail_some(batch: Batch, count: int) -> None:
    chosen = batch.jobs.order_by("id").values_list("id", flat=True)[:count]
    Job.objects.filter(id__in=list(chosen)).update(
        phase=Phase.FAILED.value,
        is_held=False,
        error="REDUCTION: still <b>no</b> vanadium",
        ended_at=timezone.now(),
    )


def test_the_list_of_runs_leads_to_the_question(admin: Client, user: Client) -> None:
    some_runs()
    text = page(admin, "/report/arcs/?state=failed")
    form = text.split('class="request-many"')[1].split("</form>")[0]
    assert f'action="{NEW}"' in form
    assert 'name="instrument" value="arcs"' in form and 'name="state" value="failed"' in form
    assert "request-many" not in page(user, "/report/arcs/?state=failed")
    assert "request-many" not in page(admin, "/report/?proposal=IPTS-0")


def test_the_question_counts_and_changes_nothing(admin: Client) -> None:
    some_runs()
    address = f"{NEW}?instrument=arcs&state=failed&step=reduction"
    shown = value(admin, address)
    assert (shown["runs"], shown["is_too_many"], shown["step"]) == (4, False, "reduction")
    text = page(admin, address)
    assert "Type the number of runs, 4, to confirm" in text and "ARCS" in text
    assert not Batch.objects.exists()
    assert "nothing to ask for" in page(admin, f"{NEW}?instrument=nowhere")


def test_whoever_types_the_number_gets_a_batch(
    client_of: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    some_runs()
    wish = {"instrument": "arcs", "state": "failed", "step": "reduction", "runs": "4"}
    scientist = client_of("scientist")
    with caplog.at_level(logging.INFO):
        answer = scientist.post(NEW, wish | {"typed": "4", "reason": "Again"})
    batch = Batch.objects.get()
    assert answer["Location"] == f"/system/batches/{batch.id}/"
    assert (batch.runs, batch.requested_by, batch.reason) == (4, "scientist", "Again")
    assert "scientist asked for" in caplog.text and "4 runs" in caplog.text
    shown = value(scientist, f"/system/batches/{batch.id}/")["batch"]
    assert (shown["jobs"], shown["progress"]["held"], shown["state"]) == (4, 4, "running")
    text = page(scientist, "/report/arcs/1/")
    assert f"batch {batch.id} of scientist goes on when fresh runs leave agents free" in text


@pytest.mark.parametrize("typed", ["", "3", "all", "4 runs"])
def test_another_number_asks_for_nothing(typed: str, admin: Client) -> None:
    some_runs()
    wish = {"instrument": "arcs", "state": "failed", "runs": "4", "typed": typed, "reason": "<i>"}
    answer = admin.post(NEW, wish)
    assert answer.status_code == 409
    assert "Nothing was asked for." in answer.content.decode()
    assert 'value="&lt;i&gt;"' in answer.content.decode()
    assert not Batch.objects.exists()


def test_what_cannot_be_asked_for_is_refused_in_words(admin: Client) -> None:
    answer = admin.post(NEW, {"instrument": "arcs", "runs": "0", "typed": "0"})
    assert answer.status_code == 409
    assert "None of the runs" in answer.content.decode()
    assert admin.post(NEW, {"step": "dancing", "runs": "0", "typed": "0"}).status_code == 404


def test_the_list_shows_how_far_each_is(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    batch = asked_for()
    fail_some(batch, 1)
    for _ in range(20):
        Batch.objects.create(
            step="all", description="x", requested_by="x", priority=1, runs=1, state="paused"
        )
    with django_assert_max_num_queries(4):
        *_, row = value(admin, "/system/batches/")["rows"]
    assert row["progress"] | {"held": 3, "failed": 1} == row["progress"]
    text = page(admin, "/system/batches/")
    assert "Reduction" in text and "Everything" in text and "No vanadium" in text
    assert '<rect class="failed"' in text
    part = admin.get(
        "/system/batches/", headers={"HX-Request": "true", "HX-Target": "batches"}
    ).content.decode()
    assert part.strip().startswith('<tbody id="batches"')


def test_no_batches_explain_themselves(admin: Client) -> None:
    assert "Nothing was asked for many runs yet" in page(admin, "/system/batches/")


def test_a_batch_is_paused_resumed_and_cancelled(
    client_of: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    batch, scientist = asked_for(), client_of("scientist")
    address = f"/system/batches/{batch.id}/"

    def state() -> str:
        return str(Batch.objects.get(id=batch.id).state)

    with caplog.at_level(logging.INFO):
        assert scientist.post(f"{address}pause/")["Location"] == address
        assert state() == "paused"
        assert "paused" in page(scientist, address)
        assert scientist.post(f"{address}pause/").status_code == 409
        assert scientist.post(f"{address}resume/")["Location"] == address
        assert state() == "running"
        question = page(scientist, f"{address}cancel/")
        assert "The <strong>4</strong> jobs" in question
        assert state() == "running"
        assert scientist.post(f"{address}cancel/")["Location"] == address
    assert state() == "cancelled"
    assert Batch.objects.get(id=batch.id).state_changed_by == "scientist"
    assert f"scientist: pause of batch {batch.id}" in caplog.text
    assert f"scientist cancelled batch {batch.id}: 4 jobs" in caplog.text
    assert value(scientist, address)["batch"]["progress"]["cancelled"] == 4


def test_what_failed_is_shown_and_asked_for_again(admin: Client) -> None:
    batch = asked_for()
    fail_some(batch, 2)
    address = f"/system/batches/{batch.id}/"
    text = page(admin, address)
    assert "still &lt;b&gt;no&lt;/b&gt; vanadium" in text and "/report/arcs/" in text
    again = admin.post(f"{address}retry/")
    new = Batch.objects.exclude(id=batch.id).get()
    assert again["Location"] == f"/system/batches/{new.id}/"
    assert (new.runs, new.requested_by) == (2, "admin")
    refused = admin.post(f"{address}retry/")
    assert refused.status_code == 409
    assert 'role="alert"' in refused.content.decode()


def test_a_batch_is_done_when_everything_has_ended(admin: Client) -> None:
    batch = asked_for()
    address = f"/system/batches/{batch.id}/"
    Batch.objects.update(state="sent")
    Job.objects.filter(batch=batch).update(is_held=False)
    assert value(admin, address)["batch"]["state"] == "sent"
    Job.objects.filter(batch=batch).update(phase=Phase.DONE.value)
    assert value(admin, address)["batch"]["state"] == "done"
    assert "done" in page(admin, "/system/batches/")


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_a_scientist_steers_only_the_own_ones(
    action: str, client_of: Callable[[str], Client]
) -> None:
    batch = asked_for(by="somebody")
    address = f"/system/batches/{batch.id}/"
    assert client_of("scientist").post(f"{address}{action}/").status_code == 403
    assert "Pause" not in page(client_of("scientist"), address)
    assert client_of("user").post(f"{address}{action}/").status_code == 403
    assert client_of("admin").post(f"{address}{action}/").status_code in {302, 409}
