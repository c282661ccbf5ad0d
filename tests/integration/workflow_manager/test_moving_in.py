"""An old installation with all that is odd in real ones, moved in and checked by value."""

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.integration.workflow_manager.old_system import START, OldDatabase
from tests.integration.workflow_manager.test_record import Arrival, arrival, take_in
from workflow_manager.domain.steps import Phase
from workflow_manager.models import (
    Event,
    ImportedRun,
    Instrument,
    Job,
    OutboxMessage,
    Proposal,
    Queue,
    Route,
    Run,
)
from workflow_manager.selectors import events_of

FILE = "/SNS/ARCS/IPTS-27800/nexus/ARCS_1.nxs.h5"


def move(old: OldDatabase, batch: int = 2) -> str:
    """Run the command; return what it said."""
    said = StringIO()
    call_command("import_webmon", address=old.address, batch=batch, stdout=said)
    return said.getvalue()


def run_of(old: OldDatabase, number: int = 1, instrument: str = "arcs", file: str = FILE) -> int:
    """An old run at a new instrument and proposal."""
    return old.run(old.instrument(instrument), number, old.proposal("IPTS-27800"), file=file)


def second(count: int) -> dt.datetime:
    """When the status of that count was written."""
    return START + dt.timedelta(seconds=count)


def reduced(old: OldDatabase, run: int) -> None:
    """The statuses of a run up to a failed reduction."""
    old.status(run, "SMS", "ID:1", information="SMS run started")
    old.status(run, "POSTPROCESS.DATA_READY", "ID:2")
    old.status(run, "CATALOG.ONCAT.DATA_READY")
    old.status(run, "REDUCTION.DATA_READY")
    old.status(run, "REDUCTION.STARTED", "ID:3", information="autoreducer4.sns.gov")
    old.status(
        run, "REDUCTION.ERROR", "ID:4", information="autoreducer4.sns.gov", error="REDUCTION: boom"
    )


def test_a_run_comes_with_events_jobs_and_phases(old: OldDatabase) -> None:
    reduced(old, run_of(old))
    move(old)
    run = Run.objects.select_related("instrument", "proposal").get()
    assert (run.instrument.name, run.instrument.facility) == ("arcs", "SNS")
    assert (run.number, run.proposal.name, run.data_file) == (1, "IPTS-27800", FILE)
    assert (run.created_at, run.data_ready_at) == (START, second(2))
    assert (run.cataloguing, run.reduction) == (Phase.REQUESTED, Phase.FAILED)
    job = Job.objects.get(step="reduction")
    assert (job.attempt, job.queue, job.phase) == (1, "REDUCTION.DATA_READY", Phase.FAILED)
    assert (job.requested_at, job.started_at, job.ended_at) == (second(4), second(5), second(6))
    assert (job.requested_by, job.agent) == ("POSTPROCESS.DATA_READY", "autoreducer4.sns.gov")
    assert job.error == "REDUCTION: boom"
    assert not OutboxMessage.objects.exists()


def test_an_event_keeps_time_queue_number_and_texts(old: OldDatabase) -> None:
    source_run = run_of(old)
    reduced(old, source_run)
    move(old)
    events = list(Event.objects.order_by("received_at"))
    assert [event.received_at for event in events] == [second(count) for count in range(1, 7)]
    assert [event.message_id for event in events] == [
        *("ID:1", "ID:2", "imported 3", "imported 4", "ID:3", "ID:4"),
    ]
    error = events[-1]
    assert (error.queue, error.error) == ("REDUCTION.ERROR", "REDUCTION: boom")
    assert error.job == Job.objects.get(step="reduction")
    assert error.body == {
        "facility": "SNS",
        "instrument": "arcs",
        "ipts": "IPTS-27800",
        "run_number": 1,
        "data_file": FILE,
        "information": "autoreducer4.sns.gov",
        "error": "REDUCTION: boom",
        "imported_status": 6,
        "imported_run": source_run,
    }


def test_rows_of_the_same_run_become_one(old: OldDatabase) -> None:
    instrument, shouted = old.instrument("arcs"), old.instrument("ARCS")
    first, second_proposal = old.proposal("IPTS-1"), old.proposal("ipts-2")
    old.run(instrument, 5, first, file=FILE, created_on=second(9))
    twin = old.run(shouted, 5, second_proposal, file="/SNS/ARCS/new", created_on=second(3))
    empty = old.run(instrument, 5, first, created_on=second(20))
    old.status(twin, "POSTPROCESS.DATA_READY", "ID:1")
    old.status(empty, "CATALOG.ONCAT.COMPLETE", "ID:2")
    said = move(old, batch=1)
    run = Run.objects.select_related("proposal").get()
    assert (run.data_file, run.proposal.name) == ("/SNS/ARCS/new", "IPTS-2")
    assert run.created_at == second(3)
    assert run.cataloguing == Phase.DONE
    assert list(Instrument.objects.values_list("name", flat=True)) == ["arcs"]
    assert "Runs that were there more than once: 1\n  arcs 5 (rows 1, 2, 3)" in said
    assert ImportedRun.objects.count() == 3


def test_a_changed_name_is_told(old: OldDatabase) -> None:
    old.run(old.instrument("BL-18 / test"), 1, old.proposal(""))
    said = move(old)
    assert "Names that had to change: 2\n  '' → X-1\n  'BL-18 / test' → bl_18_test-1" in said
    assert (Instrument.objects.get().name, Proposal.objects.get().name) == ("bl_18_test-1", "X-1")


def test_central_services_are_no_instrument_but_one_without_runs_is(old: OldDatabase) -> None:
    for name in ("common", "cncs"):
        old.instrument(name)
    move(old)
    assert list(Instrument.objects.values_list("name", flat=True)) == ["cncs"]


def test_an_unknown_queue_is_a_fact_and_moves_nothing(old: OldDatabase) -> None:
    old.status(run_of(old), "CALVERA.RAW.COMPLETE", "ID:1")
    said = move(old)
    assert Event.objects.get().queue == "CALVERA.RAW.COMPLETE"
    assert not Job.objects.exists()
    assert "CALVERA.RAW.COMPLETE (1)" in said


def test_a_repeated_broker_number_loses_nothing(old: OldDatabase) -> None:
    one = run_of(old)
    two = old.run(1, 2, 1)
    for run in (one, one, two):
        old.status(run, "POSTPROCESS.INFO", "8589934633")
    old.status(two, "POSTPROCESS.INFO", None)
    # These would look like numbers that the new system gives to its own messages.
    old.status(two, "REDUCTION.STARTED", "job 1.1")
    move(old, batch=1)
    assert list(Event.objects.order_by("received_at").values_list("message_id", flat=True)) == [
        *("8589934633", "imported 2", "imported 3", "imported 4", "imported 5"),
    ]


def test_several_texts_of_a_status_are_one_and_empty_ones_none(old: OldDatabase) -> None:
    status = old.status(run_of(old), "REDUCTION.ERROR", "ID:1", error="first", information="")
    old.link.execute(
        "INSERT INTO report_error (description, run_status_id_id)"
        " VALUES ('second', %s), (NULL, %s)",
        [status, status],
    )
    said = move(old)
    assert Event.objects.get().error == "first\nsecond"
    counts = [line.split() for line in said.splitlines()]
    assert ["report_error", "3", "1", "2", "0", "0"] in counts
    assert ["report_information", "1", "0", "1", "0", "0"] in counts


def test_a_summary_speaks_for_steps_without_statuses(old: OldDatabase) -> None:
    run = run_of(old)
    old.summary(run, cataloged=True, catalog_started=True, reduction_needed=False)
    without = old.run(1, 2, 1)
    old.status(without, "CATALOG.ONCAT.STARTED", "ID:1")
    said = move(old)
    told, silent = Run.objects.order_by("number")
    assert (told.cataloguing, told.reduction) == (Phase.DONE, Phase.SKIPPED)
    assert told.reduction_cataloguing == Phase.WAITING
    assert Job.objects.get(run=told, step="reduction").requested_by == "report_workflowsummary"
    assert silent.cataloguing == Phase.STARTED
    assert "1 runs had no summary" in said


def test_the_newest_attempt_counts_and_the_report_says_so(old: OldDatabase) -> None:
    run = run_of(old)
    queues = ("DATA_READY", "STARTED", "COMPLETE", "DATA_READY", "ERROR")
    for queue in queues:
        old.status(run, f"REDUCTION.{queue}")
    old.summary(run, complete=True)
    said = move(old)
    assert Run.objects.get().reduction == Phase.FAILED
    assert list(Job.objects.order_by("attempt").values_list("phase", flat=True)) == [
        Phase.DONE,
        Phase.FAILED,
    ]
    assert "1 runs were complete there and are not here" in said


def test_a_negative_run_number_is_left_out_and_is_an_error(old: OldDatabase) -> None:
    impossible = run_of(old, number=-3)
    old.status(impossible, "SMS", "ID:1")
    said = StringIO()
    with pytest.raises(CommandError, match="do not agree"):
        call_command("import_webmon", address=old.address, stdout=said)
    assert "1 runs there have a negative number" in said.getvalue()
    assert not Run.objects.exists()


def test_a_second_import_changes_nothing(old: OldDatabase) -> None:
    reduced(old, run_of(old))
    move(old)
    before = everything()
    assert "0 runs to move" in move(old)
    assert everything() == before


def test_a_later_import_brings_what_came_since(old: OldDatabase) -> None:
    run = run_of(old)
    reduced(old, run)
    move(old)
    old.status(run, "REDUCTION.REQUEST", "ID:9")
    old.status(run, "REDUCTION.DATA_READY")
    old.status(run, "REDUCTION.COMPLETE", "ID:10", information="autoreducer5.sns.gov")
    assert "1 runs to move" in move(old)
    assert Run.objects.get().reduction == Phase.DONE
    assert Event.objects.count() == 9
    newest = Job.objects.get(step="reduction", attempt=2)
    assert (newest.agent, newest.requested_by) == ("autoreducer5.sns.gov", "REDUCTION.REQUEST")


def test_a_run_of_the_new_system_stays_its_own(old: OldDatabase) -> None:
    reduced(old, run_of(old, file="/SNS/ARCS/old"))
    take_in(arrival("POSTPROCESS.DATA_READY", "m1", data_file=FILE))
    before = list(Job.objects.order_by("id").values())
    move(old)
    run = Run.objects.get()
    assert list(Job.objects.order_by("id").values()) == before
    assert (run.reduction, run.data_file) == (Phase.REQUESTED, FILE)
    assert (run.created_at, run.data_ready_at) == (START, second(2))
    assert Event.objects.filter(body__has_key="imported_status").count() == 6


def test_a_run_that_goes_on_here_keeps_both_histories(old: OldDatabase) -> None:
    run = run_of(old)
    reduced(old, run)
    move(old)
    take_in(arrival("REDUCTION.REQUEST", "m1", data_file=FILE))
    assert Job.objects.filter(step="reduction").count() == 2
    old.status(run, "POSTPROCESS.INFO", "ID:9", information="a late word")
    move(old)
    assert Job.objects.get(step="reduction", attempt=2).phase == Phase.REQUESTED
    assert Event.objects.filter(information="a late word").exists()


def test_what_both_systems_heard_is_one_event(old: OldDatabase) -> None:
    sms = {"run_number": 1, "msg_type": "1", "reason": "SMS run started", "ipts": "IPTS-27800"}
    body = json.dumps(sms).encode()
    take_in(Arrival("/topic/SNS.ARCS.APP.SMS", "ID:1", body))
    reduced(old, run_of(old))
    said = move(old)
    assert "imported_status" not in Event.objects.get(queue="SMS").body
    # An SMS message moves no step: the run is still taken over.
    assert Run.objects.get().reduction == Phase.FAILED
    assert ["report_runstatus", "6", "5", "0", "1", "0"] in [
        line.split() for line in said.splitlines()
    ]
    assert "0 runs to move" in move(old)


def test_another_installation_is_refused(old: OldDatabase) -> None:
    run_of(old)
    move(old)
    old.link.execute("UPDATE report_datarun SET run_number = 77")
    before = everything()
    with pytest.raises(CommandError, match="not the installation"):
        move(old)
    assert everything() == before


def test_an_old_database_that_is_away_is_said(transactional_db: None) -> None:
    with pytest.raises(CommandError, match="away"):
        call_command("import_webmon", address="postgresql://127.0.0.1:1/nothing")


def everything() -> list[tuple[object, ...]]:
    """All rows of the tables that an import writes."""
    tables = ("instrument", "proposal", "run", "job", "event", "imported_run", "outbox")
    rows: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM workflow_{table} ORDER BY 1")  # noqa: S608 - ours
            rows.extend(cursor.fetchall())
    return rows


def routes() -> list[tuple[object, ...]]:
    columns = ("instrument__name", "queue", "targets", "success_queues", "task_class")
    return list(Route.objects.order_by("instrument__name", "queue").values_list(*columns))


def test_tasks_become_routes_and_site_queues_queues(old: OldDatabase) -> None:
    arcs, hysa = old.instrument("arcs"), old.instrument("hysa")
    recovery = "workflow_process.WorkflowProcess"
    old.task(hysa, "POSTPROCESS.CHECK", task_class=recovery)
    both = ("REDUCTION.HIMEM.DATA_READY", "/queue/SITE.LOCAL.DATA_READY")
    old.task(arcs, "POSTPROCESS.DATA_READY", both, ("REDUCTION.COMPLETE",), task_class=" ")
    old.task(arcs, "REDUCTION.COMPLETE")
    old.queue("SITE.LOCAL.COMPLETE", is_workflow_input=True)
    said = move(old)
    assert routes() == [
        (
            *("arcs", "POSTPROCESS.DATA_READY"),
            ["REDUCTION.HIMEM.DATA_READY", "SITE.LOCAL.DATA_READY"],
            *(["REDUCTION.COMPLETE"], ""),
        ),
        ("arcs", "REDUCTION.COMPLETE", [], [], ""),
        ("hysa", "POSTPROCESS.CHECK", [], [], recovery),
    ]
    assert list(Queue.objects.values_list("name", "is_workflow_input")) == [
        ("SITE.LOCAL.COMPLETE", True),
        ("SITE.LOCAL.DATA_READY", False),
    ]
    counts = [line.split() for line in said.splitlines()]
    assert ["report_task", "3", "3", "0", "0", "0"] in counts
    assert ["report_statusqueue", "30", "2", "0", "28", "0"] in counts
    assert f"again itself: 1\n  hysa POSTPROCESS.CHECK: {recovery}" in said
    assert "report_task (" not in said


def test_an_imported_route_is_the_way_of_a_run(old: OldDatabase) -> None:
    old.task(old.instrument("arcs"), "POSTPROCESS.DATA_READY", ["REDUCTION.HIMEM.DATA_READY"])
    move(old)
    take_in(arrival("POSTPROCESS.DATA_READY", "m1", data_file=FILE))
    sent = [message.destination for message in OutboxMessage.objects.all()]
    assert sent == ["/queue/REDUCTION.HIMEM.DATA_READY"]


def test_several_tasks_for_one_queue_had_no_effect_and_have_none(old: OldDatabase) -> None:
    for name in ("arcs", "ARCS"):
        old.task(old.instrument(name), "POSTPROCESS.DATA_READY", ["REDUCTION.DATA_READY"])
    said = move(old)
    assert not routes()
    assert "not copied: 1\n  arcs POSTPROCESS.DATA_READY (2)" in said
    assert ["report_task", "0", "0", "0", "0", "0"] in [line.split() for line in said.splitlines()]


def test_tasks_of_central_services_are_left_out(old: OldDatabase) -> None:
    old.task(old.instrument("common"), "POSTPROCESS.CHECK")
    assert ["report_task", "0", "0", "0", "0", "0"] in [
        line.split() for line in move(old).splitlines()
    ]


def test_a_later_import_follows_tasks_but_not_over_what_people_set(old: OldDatabase) -> None:
    for name in ("arcs", "cncs", "hysa"):
        old.task(old.instrument(name), "POSTPROCESS.DATA_READY", ["REDUCTION.DATA_READY"])
    move(old)
    Route.objects.filter(instrument__name="cncs").update(targets=[], changed_by="abc")
    old.link.execute("DELETE FROM report_task_task_queue_ids")
    old.link.execute(
        "DELETE FROM report_task USING report_instrument AS instrument"
        " WHERE instrument.id = instrument_id_id AND instrument.name = 'hysa'"
    )
    said = move(old)
    assert [(name, targets) for name, _, targets, *_ in routes()] == [("arcs", []), ("cncs", [])]
    assert Route.objects.get(instrument__name="cncs").changed_by == "abc"
    assert ["report_task", "2", "1", "0", "1", "0"] in [line.split() for line in said.splitlines()]
    before = list(Route.objects.order_by("id").values())
    move(old)
    assert list(Route.objects.order_by("id").values()) == before


def test_a_status_long_before_its_run_is_found_with_it(old: OldDatabase) -> None:
    run = run_of(old)
    for count, days in enumerate((-500, -40, 0, 40)):
        old.status(run, "POSTPROCESS.INFO", f"ID:{count}", at=START + dt.timedelta(days=days))
    move(old)
    here = Run.objects.get()
    assert len(events_of(here, limit=9)) == 4
    old.status(run, "POSTPROCESS.INFO", "ID:9", at=START + dt.timedelta(days=-700))
    move(old)
    assert Event.objects.count() == 5
    assert len(events_of(Run.objects.get(), limit=9)) == 5


def test_an_old_history_goes_into_the_months_it_is_from(old: OldDatabase) -> None:
    run = run_of(old)
    for year in (2012, 2019, 2025):
        old.status(run, "POSTPROCESS.INFO", "ID:1", at=dt.datetime(year, 7, 1, tzinfo=dt.UTC))
    move(old)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM workflow_event ORDER BY received_at")
        found = [name for (name,) in cursor.fetchall()]
    assert found == [f"workflow_event_{year}_07" for year in (2012, 2019, 2025)]
