"""§1.4: services of other facilities, which get jobs where a route says so."""

import pytest

from tests.integration.workflow_manager.contract.site import Site
from tests.integration.workflow_manager.contract.table import (
    ON_DATABASE,
    Row,
    check_left_alone,
    check_report,
)
from workflow_manager.domain.steps import Phase

_SERVICES = ("CALVERA.RAW", "CALVERA.REDUCED", "INTERSECT.RAW", "INTERSECT.REDUCED")

REPORTS = (
    *(Row(f"{name}.COMPLETE", f"{name}.DATA_READY", Phase.DONE) for name in _SERVICES),
    *(Row(f"{name}.ERROR", f"{name}.DATA_READY", Phase.FAILED) for name in _SERVICES),
)
LEFT_ALONE = tuple(Row(f"{name}.DATA_READY") for name in _SERVICES)
ROWS = (*REPORTS, *LEFT_ALONE)

pytestmark = ON_DATABASE


@pytest.mark.parametrize("row", REPORTS, ids=str)
def test_a_report(site: Site, row: Row) -> None:
    check_report(site, row)


@pytest.mark.parametrize("row", LEFT_ALONE, ids=str)
def test_what_is_not_ours_is_left_alone(site: Site, row: Row) -> None:
    check_left_alone(site, row)
