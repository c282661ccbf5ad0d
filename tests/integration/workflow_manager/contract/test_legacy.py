"""§1.4: names of services of the past, recorded with no effect; and the broker's own queues."""

import pytest

from tests.integration.workflow_manager.contract.site import Site, stc
from tests.integration.workflow_manager.contract.table import (
    ON_DATABASE,
    Row,
    check_fact,
    check_left_alone,
)

FACTS = (
    Row("CATALOG.STARTED"),
    Row("CATALOG.COMPLETE"),
    Row("TRANSLATION.STARTED"),
    Row("TRANSLATION.COMPLETE"),
    Row("FERMI_REDUCTION.DATA_READY"),
)
LEFT_ALONE = (Row("CATALOG.DATA_READY"),)
BROKERS_OWN = (Row("DLQ"), Row("ExpiryQueue"))
ROWS = (*FACTS, *LEFT_ALONE, *BROKERS_OWN)

pytestmark = ON_DATABASE


@pytest.mark.parametrize("row", FACTS, ids=str)
def test_a_fact(site: Site, row: Row) -> None:
    check_fact(site, row)


@pytest.mark.parametrize("row", LEFT_ALONE, ids=str)
def test_what_is_not_ours_is_left_alone(site: Site, row: Row) -> None:
    check_left_alone(site, row)


@pytest.mark.parametrize("row", BROKERS_OWN, ids=str)
def test_a_dead_letter_is_no_news_of_a_run(site: Site, row: Row) -> None:
    run = site.new_run()
    site.send(f"/queue/{row.queue}", stc(run))
    site.settle()
    assert not run.exists
    assert site.jobs_of(run) == []
