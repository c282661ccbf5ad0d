"""A run's attempts on its page, why it waits, and asking for a step again."""

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.integration.webmon import rows
from webmon.runs.pages import ATTEMPTS
from workflow_manager.domain.steps import Phase
from workflow_manager.models import Agent, Batch, Event, Instrument, Job, ManagerProcess, Run

ADDRESS = "/report/arcs/214583/"
WAITING = (Phase.DONE, Phase.REQUESTED, Phase.WAITING)


def page(client: Client, address: str = ADDRESS) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str = ADDRESS) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def attempt(run: Run, number: int, *, step: str = "reduction", ago: float = 30, **more: Any) -> Job:
    """One more attempt, asked for `ago` seconds before now."""
    content = {"queue": "REDUCTION.DATA_READY", "phase": Phase.REQUESTED.value} | more
    return Job.objects.create(
        run=run,
        instrument=run.instrument,
        step=step,
        attempt=number,
        requested_at=timezone.now() - dt.timedelta(seconds=ago),
        **content,
    )


def reduction(run: Run, **changes: Any) -> Job:
    Job.objects.filter(run=run, step="reduction").update(**changes)
    return Job.objects.get(run=run, step="reduction", attempt=1)


def reason_to_wait(client: Client) -> str:
    verdict = value(client)["verdict"]
    assert verdict["before"].startswith("Waiting for reduction since")
    return str(verdict["after"])


def test_every_attempt_is_told_with_its_times_and_its_reason(user: Client) -> None:
    run = rows.add_run(ago=86400, phases=(Phase.DONE, Phase.FAILED, Phase.WAITING))
    reduction(run, exit_code=3, requested_by="POSTPROCESS.DATA_READY")
    attempt(run, 2, phase=Phase.STARTED.value, requested_by="jdoe", reason="New <b>vanadium</b>")
    attempt(run, 1, step="calvera.raw", ago=86400, phase=Phase.SKIPPED.value)
    newest, first = value(user)["waterfall"]["stretches"]
    assert [each["label"] for each in newest["attempts"]] == ["Reduction"]
    by_step = {each["step"]: each for each in first["attempts"]}
    assert by_step["reduction"]["exit_code"] == 3
    assert by_step["reduction"]["error"] == rows.ERROR
    assert by_step["reduction"]["waited"] == pytest.approx(0.4)
    assert by_step["reduction"]["ran"] == pytest.approx(1.8)
    assert by_step["calvera.raw"]["label"] == "Calvera raw"
    text = page(user)
    assert "Asked for by jdoe: <q>New &lt;b&gt;vanadium&lt;/b&gt;</q>" in text
    assert "Exit code 3." in text
    assert f'<details id="error-of-{by_step["reduction"]["id"]}" hx-preserve>' in text
    assert "line 39" in text.split('id="attempts"')[1]


def test_what_became_of_old_attempts_is_told(user: Client) -> None:
    run = rows.add_run(phases=(Phase.DONE, Phase.STARTED, Phase.WAITING))
    batch = a_batch()
    gone = timezone.now()
    attempt(run, 2, recoveries=2, requested_by="recovery", reason="Agent x fell silent")
    attempt(run, 3, batch=batch, cancelled_at=gone)
    fates = {
        each["number"]: each["fate"]
        for stretch in value(user)["waterfall"]["stretches"]
        for each in stretch["attempts"]
        if each["step"] == "reduction"
    }
    assert fates == {1: "superseded", 2: "requested", 3: "cancelled"}
    text = page(user)
    assert "No end was reported before the next attempt" in text
    assert "Sent again by itself: <q>Agent x fell silent</q>" in text
    assert "This is time 2 in a row." in text
    assert "Cancelled before it left" in text and f"batch {batch.id}" in text


def test_two_hundred_attempts_are_told_in_parts(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = rows.add_run(phases=(Phase.DONE, Phase.FAILED, Phase.WAITING))
    for number in range(2, 200):
        attempt(run, number, ago=number // 2)
    address, seen = ADDRESS, list[int]()
    while True:
        with django_assert_max_num_queries(15):
            part = value(user, address)["waterfall"]
        found = [each["id"] for stretch in part["stretches"] for each in stretch["attempts"]]
        assert 0 < len(found) <= ATTEMPTS
        seen += found
        if not part["older"]:
            break
        address = f"{ADDRESS}?attempts={part['older'].replace('+', '%2B')}"
    assert sorted(seen) == sorted(Job.objects.filter(run=run).values_list("id", flat=True))
    assert 'rel="next" href="?attempts=' in page(user)
    assert "Newest" in page(user, address)


def test_the_part_that_is_read_again_asks_little(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows.add_run(phases=(Phase.DONE, Phase.STARTED, Phase.WAITING))
    with django_assert_max_num_queries(5):
        text = user.get(ADDRESS, headers={"HX-Request": "true", "HX-Target": "attempts"})
    assert text.content.decode().strip().startswith('<div id="attempts"')
    assert "every 5s" in text.content.decode()


def test_a_page_of_what_is_over_does_not_ask_again_by_itself(user: Client) -> None:
    rows.add_run()
    assert "every 5s" not in page(user)


def test_a_run_without_attempts_says_so(user: Client) -> None:
    rows.add_run(phases=(Phase.WAITING,) * 3, has_data=False)
    assert "No step was asked for yet." in page(user)


def a_batch(state: str = "running") -> Batch:
    return Batch.objects.create(
        step="reduction",
        description="ARCS, failed",
        requested_by="jdoe",
        priority=1,
        state=state,
        runs=1,
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [("paused", "is paused"), ("running", "goes on when fresh runs leave agents free")],
)
def test_a_job_of_a_batch_says_for_whom_it_waits(state: str, words: str, user: Client) -> None:
    batch = a_batch(state)
    reduction(rows.add_run(phases=WAITING), is_held=True, batch=batch)
    assert reason_to_wait(user) == f": batch {batch.id} of jdoe {words}."


def test_a_limit_of_the_instrument_is_a_reason_to_wait(user: Client) -> None:
    reduction(rows.add_run(phases=WAITING), is_held=True)
    assert reason_to_wait(user) == ": it is held here until its turn."
    Instrument.objects.update(jobs_in_flight=4)
    assert reason_to_wait(user) == ": no more than 4 jobs of ARCS may be under way at once."


def test_a_broker_that_is_away_is_a_reason_to_wait(user: Client) -> None:
    rows.add_run(phases=WAITING)
    away = ": no workflow manager is connected to the broker, so nothing is sent."
    assert reason_to_wait(user) == away
    ManagerProcess.objects.create(name="here:1", is_connected=False)
    assert reason_to_wait(user) == away
    ManagerProcess.objects.update(is_connected=True)
    assert reason_to_wait(user) == ": its message is not sent yet."
    ManagerProcess.objects.update(seen_at=timezone.now() - dt.timedelta(minutes=5))
    assert reason_to_wait(user) == away


def test_agents_that_are_silent_are_a_reason_to_wait(user: Client) -> None:
    reduction(rows.add_run(phases=WAITING), sent_at=timezone.now())
    assert reason_to_wait(user) == ": no agent has taken it yet."
    Agent.objects.create(name="a", seen_at=timezone.now() - dt.timedelta(hours=2))
    assert reason_to_wait(user) == ": no agent gives a sign of life."
    Agent.objects.create(name="b", slots=2)
    assert reason_to_wait(user) == ": no agent has taken it yet."


def test_a_route_that_leaves_the_reduction_out_is_the_reason(user: Client) -> None:
    run = rows.add_run(phases=(Phase.DONE, Phase.SKIPPED, Phase.WAITING))
    at = run.created_at
    words = "The route of ARCS for POSTPROCESS.DATA_READY leaves it out."
    reduction(run, reason=words, requested_at=at, started_at=None, ended_at=at)
    assert value(user)["verdict"]["before"] == f"Not reduced. {words}"


def test_a_person_asks_for_a_step_again(
    client_of: Callable[[str], Client], caplog: pytest.LogCaptureFixture
) -> None:
    run = rows.add_run()
    scientist = client_of("scientist")
    assert f'href="{ADDRESS}reduce/"' in page(scientist)
    question = page(scientist, f"{ADDRESS}reduce/")
    assert "Reduce again" in question and "csrfmiddlewaretoken" in question
    assert Job.objects.filter(run=run, step="reduction").count() == 1
    with caplog.at_level(logging.INFO):
        answer = scientist.post(f"{ADDRESS}reduce/", {"reason": "New vanadium\nat last"})
    assert answer["Location"] == f"{ADDRESS}#attempts-title"
    job = Job.objects.get(run=run, step="reduction", attempt=2)
    assert (job.requested_by, job.reason) == ("scientist", "New vanadium\nat last")
    assert "scientist asked for reduce of ARCS 214583: 'New vanadium\\nat last'" in caplog.text
    assert "Asked for by scientist" in page(scientist)


@pytest.mark.parametrize(
    ("wish", "steps"),
    [
        ("reduce", {"reduction"}),
        ("catalog", {"cataloguing"}),
        ("postprocess", {"cataloguing", "reduction"}),
    ],
)
def test_each_wish_asks_for_its_steps(wish: str, steps: set[str], admin: Client) -> None:
    run = rows.add_run()
    assert admin.post(f"{ADDRESS}{wish}/").status_code == 302
    again = Job.objects.filter(run=run, attempt=2)
    assert set(again.values_list("step", flat=True)) == steps


def test_the_question_warns_of_what_is_under_way(admin: Client) -> None:
    rows.add_run(phases=(Phase.DONE, Phase.STARTED, Phase.WAITING))
    assert "Under way already: Reduction." in page(admin, f"{ADDRESS}reduce/")
    assert "Under way already" not in page(admin, f"{ADDRESS}catalog/")


def test_a_run_without_a_file_is_refused_in_words(admin: Client) -> None:
    run = rows.add_run(phases=(Phase.WAITING,) * 3, has_data=False)
    Run.objects.filter(id=run.id).update(data_file="")
    answer = admin.post(f"{ADDRESS}reduce/", {"reason": "keep <me>"})
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "has no data file yet" in text and "keep &lt;me&gt;" in text
    assert not Job.objects.filter(run=run).exists()


def test_only_those_who_may_see_the_buttons(user: Client, admin: Client) -> None:
    rows.add_run()
    assert "Reduce again" not in page(user)
    assert value(user)["may_request"] is False
    assert value(admin)["may_request"] is True


def test_odd_reasons_do_no_harm(admin: Client) -> None:
    run = rows.add_run()
    assert admin.post(f"{ADDRESS}reduce/", {"reason": "\0" + "x" * 10_000}).status_code == 302
    event = Event.objects.filter(run=run, queue="REDUCTION.REQUEST").get()
    assert json.dumps(event.body).count("x") >= 10_000
