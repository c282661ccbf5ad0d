"""§1.4: cataloguing of reduced data."""

import pytest

from tests.integration.workflow_manager.contract.site import Site
from tests.integration.workflow_manager.contract.table import (
    ON_DATABASE,
    Row,
    check_left_alone,
    check_report,
)
from workflow_manager.domain.steps import Phase

_JOBS = "REDUCTION_CATALOG.DATA_READY"

REPORTS = (
    Row("REDUCTION_CATALOG.STARTED", answers=_JOBS, phase=Phase.STARTED),
    Row("REDUCTION_CATALOG.COMPLETE", answers=_JOBS, phase=Phase.DONE),
    Row("REDUCTION_CATALOG.ERROR", answers=_JOBS, phase=Phase.FAILED),
    # What agents in the field say instead.
    Row("CATALOG.ERROR", answers=_JOBS, phase=Phase.FAILED),
)
LEFT_ALONE = (Row(_JOBS),)
ROWS = (*REPORTS, *LEFT_ALONE)

pytestmark = ON_DATABASE


@pytest.mark.parametrize("row", REPORTS, ids=str)
def test_a_report(site: Site, row: Row) -> None:
    check_report(site, row)


@pytest.mark.parametrize("row", LEFT_ALONE, ids=str)
def test_what_is_not_ours_is_left_alone(site: Site, row: Row) -> None:
    check_left_alone(site, row)
