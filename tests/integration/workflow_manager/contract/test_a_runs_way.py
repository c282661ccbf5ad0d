"""§5: whole ways of runs: the rows that facilities count, the flags that their SQL reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django.db import connection

from tests.integration.workflow_manager.contract.site import RunSeen, Site, stc, web
from tests.integration.workflow_manager.contract.table import HOST, ON_DATABASE

BEGIN = "POSTPROCESS.DATA_READY"
NO_FLAGS = {
    "complete": False,
    "catalog_started": False,
    "cataloged": False,
    "reduction_needed": True,
    "reduction_started": False,
    "reduced": False,
    "reduction_cataloged": False,
    "reduction_catalog_started": False,
}
CATALOGUED = {"catalog_started": True, "cataloged": True}
REDUCED = {"reduction_started": True, "reduced": True}
REDUCED_CATALOGUED = {"reduction_catalog_started": True, "reduction_cataloged": True}

pytestmark = ON_DATABASE


def rows_of(*steps: str) -> list[str]:
    """The three rows of each step."""
    return [f"{step}.{end}" for step in steps for end in ("DATA_READY", "STARTED", "COMPLETE")]


def do(site: Site, run: RunSeen, step: str, *ends: str, **said: Any) -> None:
    """Be the agent: report about the job of a step, each report when the last one is recorded."""
    job = site.await_job(run, f"{step}.DATA_READY").body
    for end in ends:
        site.send(f"/queue/{step}.{end}", {**job, "information": HOST, **said})
        assert site.await_true(lambda end=end: f"{step}.{end}" in run.queues)  # type: ignore[misc]


def begin(site: Site, queue: str, body: Any = stc) -> RunSeen:
    run = site.new_run()
    site.send(f"/queue/{queue}", body(run))
    return run


def old_rows(run: RunSeen) -> list[tuple[str, ...]]:
    """The run's statuses as the tables of the replaced system show them."""
    return _select(
        "SELECT queue.name, status.message_id <> '' FROM legacy.report_runstatus AS status"
        " JOIN legacy.report_statusqueue AS queue ON queue.id = status.queue_id_id"
        " WHERE run_id_id = %s ORDER BY status.id",
        run,
    )


def flags(run: RunSeen) -> dict[str, Any]:
    names = list(NO_FLAGS)
    (row,) = _select(
        f"SELECT {', '.join(names)} FROM legacy.report_workflowsummary"  # noqa: S608
        " WHERE run_id_id = %s",
        run,
    )
    return dict(zip(names, row, strict=True))


def errors(run: RunSeen) -> list[tuple[str, ...]]:
    return _select(
        "SELECT description FROM legacy.report_error AS error"
        " JOIN legacy.report_runstatus AS status ON status.id = error.run_status_id_id"
        " WHERE status.run_id_id = %s ORDER BY error.id",
        run,
    )


def displayed(run: RunSeen) -> str:
    """§5.2, as SQL of a facility decides it."""
    (row,) = _select(
        "SELECT CASE"
        " WHEN NOT EXISTS (SELECT 1 FROM legacy.report_runstatus AS status"
        "   JOIN legacy.report_statusqueue AS queue ON queue.id = status.queue_id_id"
        "   WHERE queue.name = 'POSTPROCESS.DATA_READY' AND status.run_id_id = summary.run_id_id)"
        "   THEN 'acquiring'"
        " WHEN complete THEN 'complete'"
        " WHEN EXISTS (SELECT 1 FROM legacy.report_error AS error"
        "   JOIN legacy.report_runstatus AS status ON status.id = error.run_status_id_id"
        "   WHERE status.run_id_id = summary.run_id_id) THEN 'error'"
        " ELSE 'incomplete' END"
        " FROM legacy.report_workflowsummary AS summary WHERE run_id_id = %s",
        run,
    )
    return str(row[0])


def _select(statement: str, run: RunSeen) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [run.row.pk])
        return list(cursor.fetchall())


def check_rows(site: Site, run: RunSeen, expected: Sequence[str]) -> None:
    """Exactly these, in the events and in the old table; what we sent has no message number."""
    site.await_queues(run, expected)
    site.settle()
    assert sorted(run.queues) == sorted(expected)
    old = old_rows(run)
    assert sorted(name for name, _ in old) == sorted(expected)
    jobs = [name for name in expected if name.endswith(".DATA_READY") and name != BEGIN]
    assert sorted(name for name, has_number in old if not has_number and name in jobs) == sorted(
        jobs
    )


def test_ten_rows_when_everything_succeeds(site: Site) -> None:
    run = begin(site, BEGIN)
    do(site, run, "CATALOG.ONCAT", "STARTED", "COMPLETE")
    do(site, run, "REDUCTION", "STARTED", "COMPLETE")
    do(site, run, "REDUCTION_CATALOG", "STARTED", "COMPLETE")
    expected = [BEGIN, *rows_of("CATALOG.ONCAT", "REDUCTION", "REDUCTION_CATALOG")]
    assert len(expected) == 10
    check_rows(site, run, expected)
    assert flags(run) == NO_FLAGS | CATALOGUED | REDUCED | REDUCED_CATALOGUED | {"complete": True}
    assert displayed(run) == "complete"


def test_four_rows_of_a_wish_for_cataloguing(site: Site) -> None:
    run = begin(site, "CATALOG.REQUEST", web)
    do(site, run, "CATALOG.ONCAT", "STARTED", "COMPLETE")
    expected = ["CATALOG.REQUEST", *rows_of("CATALOG.ONCAT")]
    assert len(expected) == 4
    check_rows(site, run, expected)
    assert flags(run) == NO_FLAGS | CATALOGUED
    assert displayed(run) == "acquiring"


def test_seven_rows_of_a_wish_for_reduction(site: Site) -> None:
    run = begin(site, "REDUCTION.REQUEST", web)
    do(site, run, "REDUCTION", "STARTED", "COMPLETE")
    do(site, run, "REDUCTION_CATALOG", "STARTED", "COMPLETE")
    expected = ["REDUCTION.REQUEST", *rows_of("REDUCTION", "REDUCTION_CATALOG")]
    assert len(expected) == 7
    check_rows(site, run, expected)
    assert flags(run) == NO_FLAGS | REDUCED | REDUCED_CATALOGUED


@pytest.mark.parametrize("has_job", [True, False])
def test_five_rows_when_the_file_is_missing(site: Site, has_job: bool) -> None:
    """`POSTPROCESS.ERROR` comes bare, from each of the two jobs; with or without its number."""
    run = begin(site, BEGIN)
    error = f"Data file not found: {stc(run)['data_file']}"
    for queue in ("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"):
        # No agent reports before it has the job, and two queues have no order of their own.
        job = dict(site.await_job(run, queue).body)
        body = job if has_job else stc(run)
        site.send("POSTPROCESS.ERROR", {**body, "information": HOST, "error": error})
    expected = [
        *(BEGIN, "CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"),
        *("POSTPROCESS.ERROR", "POSTPROCESS.ERROR"),
    ]
    check_rows(site, run, expected)
    assert errors(run) == [(error,), (error,)]
    assert flags(run) == NO_FLAGS
    assert displayed(run) == "error"
    assert {job.error for job in run.jobs()} == {error}


@pytest.mark.parametrize("queue", ["REDUCTION.NOT_NEEDED", "REDUCTION.DISABLED"])
def test_catalogued_and_not_to_be_reduced_is_complete(site: Site, queue: str) -> None:
    run = begin(site, BEGIN)
    do(site, run, "CATALOG.ONCAT", "STARTED")
    site.await_queues(run, [BEGIN, *rows_of("CATALOG.ONCAT")[:2], "REDUCTION.DATA_READY"])
    assert flags(run) == NO_FLAGS | {"catalog_started": True}
    assert displayed(run) == "incomplete"
    do(site, run, "CATALOG.ONCAT", "COMPLETE")
    do(site, run, "REDUCTION", queue.split(".")[1])
    assert flags(run) == NO_FLAGS | CATALOGUED | {"reduction_needed": False, "complete": True}
    assert displayed(run) == "complete"


def test_an_error_after_the_end_takes_no_flag_back(site: Site) -> None:
    run = begin(site, BEGIN)
    do(site, run, "CATALOG.ONCAT", "STARTED", "COMPLETE")
    do(site, run, "REDUCTION", "STARTED", "COMPLETE")
    do(site, run, "REDUCTION_CATALOG", "STARTED", "COMPLETE")
    site.send("REDUCTION.REQUEST", web(run))
    jobs = "REDUCTION.DATA_READY"
    assert site.await_true(lambda: run.queues.count(jobs) == 2)
    again = next(job for job in run.jobs() if job.queue == jobs and job.attempt == 2)
    reply = {**stc(run), "job_id": again.pk, "attempt": 2, "information": HOST, "error": "again"}
    site.send("REDUCTION.ERROR", reply)
    assert site.await_true(lambda: "REDUCTION.ERROR" in run.queues)
    assert flags(run) == NO_FLAGS | CATALOGUED | REDUCED | REDUCED_CATALOGUED | {"complete": True}
    assert displayed(run) == "complete"


@pytest.mark.parametrize("value", ["true", False, ""])
def test_is_complete_counts_by_being_there_until_the_next_message(site: Site, value: Any) -> None:
    run = site.new_run()
    site.send(BEGIN, stc(run, is_complete=value))
    jobs = ["CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY"]
    site.await_queues(run, [BEGIN, *jobs])
    passed_on = [site.await_job(run, queue).body for queue in jobs]
    assert [body["is_complete"] for body in passed_on] == [value, value]
    site.send("POSTPROCESS.INFO", stc(run, is_complete=value))
    site.await_queues(run, [BEGIN, *jobs, "POSTPROCESS.INFO"])
    assert flags(run) == NO_FLAGS | {"complete": True}
    site.send("POSTPROCESS.CHECK", stc(run))
    site.await_queues(run, [BEGIN, *jobs, "POSTPROCESS.INFO", "POSTPROCESS.CHECK"])
    assert flags(run) == NO_FLAGS


class TestRecording:
    """§3, in its details."""

    def run_row(self, site: Site, run: RunSeen, *messages: tuple[str, Mapping[str, Any]]) -> Any:
        for number, (queue, body) in enumerate(messages, 1):
            site.send(queue, body)
            heard = {name for name, _ in messages[:number]}
            assert site.await_true(lambda heard=heard: heard <= set(run.queues))  # type: ignore[misc]
        return run.row

    def test_an_empty_file_keeps_the_stored_one(self, site: Site) -> None:
        run = site.new_run()
        empty = stc(run, data_file="")
        row = self.run_row(site, run, (BEGIN, stc(run)), ("POSTPROCESS.INFO", empty))
        assert row.data_file == stc(run)["data_file"]

    def test_another_file_replaces_it(self, site: Site) -> None:
        run = site.new_run()
        moved = stc(run, data_file="/SNS/ARCS/IPTS-27800/moved/ARCS_1.nxs.h5")
        row = self.run_row(site, run, (BEGIN, stc(run)), ("POSTPROCESS.INFO", moved))
        assert row.data_file == moved["data_file"]

    def test_a_run_keeps_the_proposal_with_which_its_data_was_announced(self, site: Site) -> None:
        """Unlike the replaced system: a report must not take a run from its proposal's people."""
        run = site.new_run()
        other = stc(run, ipts="IPTS-1")
        row = self.run_row(site, run, (BEGIN, stc(run)), ("REDUCTION.STARTED", other))
        assert row.proposal.name == "IPTS-27800"

    def test_names_are_stored_as_the_contract_says(self, site: Site) -> None:
        run = site.new_run()
        body = stc(run, instrument="ArCs", ipts="ipts-27800", facility="sns")
        row = self.run_row(site, run, (BEGIN, body))
        assert (row.instrument.name, row.proposal.name) == ("arcs", "IPTS-27800")
        assert run.event(BEGIN).body == body

    def test_a_proposal_need_not_begin_with_ipts(self, site: Site) -> None:
        run = site.new_run()
        assert self.run_row(site, run, (BEGIN, stc(run, ipts="2026_A_18a"))).proposal.name == (
            "2026_A_18A"
        )

    def test_texts_are_kept_whole_and_cut_only_for_old_sql(self, site: Site) -> None:
        run = site.new_run()
        long = "µ" * 5000
        self.run_row(site, run, ("POSTPROCESS.ERROR", stc(run, error=long, information=long)))
        assert run.event("POSTPROCESS.ERROR").error == long
        assert run.event("POSTPROCESS.ERROR").information == long
        assert errors(run) == [("µ" * 198 + "..",)]

    def test_a_run_processed_again_is_not_the_last_run(self, site: Site) -> None:
        old, new = site.new_run("lastrun"), site.new_run("lastrun")
        self.run_row(site, old, (BEGIN, stc(old)))
        self.run_row(site, new, (BEGIN, stc(new)))
        self.run_row(site, old, ("REDUCTION.REQUEST", web(old)))
        last = _select(
            "SELECT last_run_id_id FROM legacy.report_instrumentstatus AS status"
            " JOIN legacy.report_datarun AS run ON run.instrument_id_id = status.instrument_id_id"
            " WHERE run.id = %s",
            old,
        )
        assert last == [(new.row.pk,)]

    def test_a_run_without_a_file_may_be_reported(self, site: Site) -> None:
        run = site.new_run()
        body = stc(run)
        del body["data_file"]
        assert self.run_row(site, run, ("REDUCTION.STARTED", body)).data_file == ""
