"""§1.4: cataloguing of raw data."""

import pytest

from tests.integration.workflow_manager.contract.site import Site
from tests.integration.workflow_manager.contract.table import (
    ON_DATABASE,
    Row,
    check_left_alone,
    check_report,
    check_wish,
)
from workflow_manager.domain.steps import Phase

_JOBS = "CATALOG.ONCAT.DATA_READY"

WISHES = (Row("CATALOG.REQUEST", sends=(_JOBS,)),)
REPORTS = (
    Row("CATALOG.ONCAT.STARTED", answers=_JOBS, phase=Phase.STARTED),
    Row("CATALOG.ONCAT.COMPLETE", answers=_JOBS, phase=Phase.DONE),
    Row("CATALOG.ONCAT.ERROR", answers=_JOBS, phase=Phase.FAILED),
)
LEFT_ALONE = (Row(_JOBS),)
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
