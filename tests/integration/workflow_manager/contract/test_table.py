"""Every row of the contract's table of destinations is tested in one of the modules here."""

from tests.integration.workflow_manager.contract import (
    contract,
    test_calvera_and_intersect,
    test_catalogue,
    test_heartbeats,
    test_legacy,
    test_reduction,
    test_reduction_catalogue,
    test_sms,
    test_work_queues,
)
from workflow_manager.domain.rules import INPUT_QUEUES

_MODULES = (
    test_work_queues,
    test_catalogue,
    test_reduction,
    test_reduction_catalogue,
    test_legacy,
    test_calvera_and_intersect,
    test_sms,
)


def test_every_queue_of_the_contract_has_a_row() -> None:
    rows = {row.queue for module in _MODULES for row in module.ROWS}
    assert rows == set(contract.QUEUES)


def test_every_topic_of_the_contract_has_a_test() -> None:
    assert {*test_sms.TOPICS, *test_heartbeats.TOPICS} == set(contract.TOPICS)


def test_the_manager_reads_no_queue_that_has_no_row() -> None:
    assert set(INPUT_QUEUES) <= set(contract.QUEUES)
