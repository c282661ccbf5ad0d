"""§1.4: reduction, on ordinary nodes and on those with much memory."""

import pytest

from tests.integration.workflow_manager.contract.site import SPELLINGS, Site, stc
from tests.integration.workflow_manager.contract.table import (
    ON_DATABASE,
    Row,
    check_left_alone,
    check_report,
    check_wish,
)
from workflow_manager.domain.steps import Phase, Step

_JOBS = "REDUCTION.DATA_READY"
_HIGH_MEMORY_JOBS = "REDUCTION.HIMEM.DATA_READY"
_NEXT = ("REDUCTION_CATALOG.DATA_READY",)

WISHES = (Row("REDUCTION.REQUEST", sends=(_JOBS,)),)
REPORTS = (
    Row("REDUCTION.STARTED", answers=_JOBS, phase=Phase.STARTED),
    Row("REDUCTION.COMPLETE", answers=_JOBS, phase=Phase.DONE, sends=_NEXT),
    Row("REDUCTION.ERROR", answers=_JOBS, phase=Phase.FAILED),
    Row("REDUCTION.DISABLED", answers=_JOBS, phase=Phase.SKIPPED),
    Row("REDUCTION.NOT_NEEDED", answers=_JOBS, phase=Phase.SKIPPED),
    # The same reports come from nodes with much memory.
    Row("REDUCTION.STARTED", answers=_HIGH_MEMORY_JOBS, phase=Phase.STARTED),
    Row("REDUCTION.COMPLETE", answers=_HIGH_MEMORY_JOBS, phase=Phase.DONE, sends=_NEXT),
    Row("REDUCTION.ERROR", answers=_HIGH_MEMORY_JOBS, phase=Phase.FAILED),
)
LEFT_ALONE = (
    Row(_JOBS),
    Row(_HIGH_MEMORY_JOBS),
    Row("REDUCTION.CREATE_SCRIPT"),
    Row("REDUCTION.TESTPROCESSOR.DATA_READY"),
)
ROWS = (*WISHES, *REPORTS, *LEFT_ALONE)

pytestmark = ON_DATABASE


@pytest.mark.parametrize("row", WISHES, ids=str)
def test_a_wish(site: Site, row: Row) -> None:
    check_wish(site, row)


@pytest.mark.parametrize("row", REPORTS, ids=str)
def test_a_report(site: Site, row: Row) -> None:
    check_report(site, row)


@pytest.mark.parametrize("row", LEFT_ALONE, ids=str)
def test_what_is_not_ours_is_left_alone(site: Site, row: Row) -> None:
    check_left_alone(site, row)


@pytest.mark.parametrize("queue", ["REDUCTION.NOT_NEEDED", "REDUCTION.DISABLED"])
def test_said_by_hand_of_a_run_that_nobody_reduces(site: Site, queue: str) -> None:
    runs = [site.new_run() for _ in SPELLINGS]
    for spelling, run in zip(SPELLINGS, runs, strict=True):
        site.send(spelling + queue, stc(run, information="an empty can"))
    for run in runs:
        site.await_queues(run, [queue])
        assert run.phases[Step.REDUCTION] == Phase.SKIPPED
        assert run.event(queue).information == "an empty can"
    site.settle()
    assert [site.jobs_of(run) for run in runs] == [[], []]
