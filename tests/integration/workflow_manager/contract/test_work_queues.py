"""§1.4: the queues on which runs begin, and what is said of all their processing."""

import pytest

from tests.integration.workflow_manager.contract.site import SPELLINGS, Site
from tests.integration.workflow_manager.contract.table import (
    NAMED_REPLIES,
    ON_DATABASE,
    Row,
    check_fact,
    check_report,
    check_wish,
)
from workflow_manager.domain.steps import Phase

WISHES = (
    Row("POSTPROCESS.DATA_READY", sends=("CATALOG.ONCAT.DATA_READY", "REDUCTION.DATA_READY")),
)
FACTS = (Row("POSTPROCESS.INFO"), Row("POSTPROCESS.CHECK"))
# An agent that could not even begin, at either of the two jobs that it may have in hand.
REPORTS = (
    Row("POSTPROCESS.ERROR", answers="CATALOG.ONCAT.DATA_READY", phase=Phase.FAILED),
    Row("POSTPROCESS.ERROR", answers="REDUCTION.DATA_READY", phase=Phase.FAILED),
)
ROWS = (*WISHES, *FACTS, *REPORTS)

pytestmark = ON_DATABASE


@pytest.mark.parametrize("row", WISHES, ids=str)
def test_a_wish(site: Site, row: Row) -> None:
    check_wish(site, row)


@pytest.mark.parametrize("row", FACTS, ids=str)
def test_a_fact(site: Site, row: Row) -> None:
    check_fact(site, row)


@pytest.mark.parametrize("row", REPORTS, ids=str)
def test_a_report(site: Site, row: Row) -> None:
    check_report(site, row, NAMED_REPLIES)


def test_a_bare_path_says_all_of_a_run(site: Site) -> None:
    """§2.2, for instruments with an underscore as well: agents get JSON."""
    runs = [site.new_run("ref_l") for _ in SPELLINGS]
    paths = {run: f"/SNS/REF_L/IPTS-1/0/{run.number}/NeXus/REF_L_{run.number}.nxs" for run in runs}
    for spelling, run in zip(SPELLINGS, runs, strict=True):
        site.send(f"{spelling}POSTPROCESS.DATA_READY", paths[run])
    for run in runs:
        (row,) = WISHES
        site.await_queues(run, [row.queue, *row.sends])
        expected = {
            "facility": "SNS",
            "instrument": "ref_l",
            "ipts": "ipts-1",
            "run_number": run.number,
            "data_file": paths[run],
        }
        for queue in row.sends:
            job = site.await_job(run, queue).body
            assert {key: job[key] for key in expected} == expected
        assert run.row.proposal.name == "IPTS-1"
