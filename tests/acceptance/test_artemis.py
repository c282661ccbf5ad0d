"""The whole facility on Artemis as deployed: each process has the rights of its role, no more."""

from collections.abc import Iterator

import pytest

from tests.facility import Facility, facility_as_deployed, require


@pytest.fixture
def plant() -> Iterator[Facility]:
    if reason := require("artemis"):
        pytest.skip(reason)
    with facility_as_deployed() as running:
        yield running


def is_complete(plant: Facility) -> bool:
    rows = plant.query(
        "SELECT 1 FROM workflow_run"
        " WHERE cataloguing = 5 AND reduction = 5 AND reduction_cataloguing = 5"
    )
    return bool(rows)


def test_runs_of_simulated_instruments_are_reduced_with_least_rights(plant: Facility) -> None:
    assert plant.await_true(lambda: is_complete(plant), 120)
    assert plant.query("SELECT reason FROM workflow_rejected_message") == []
    assert plant.broker is not None
    log = plant.broker.log_file.read_text(encoding="utf-8")
    refusals = [line for line in log.splitlines() if "AMQ229032" in line or "AMQ229213" in line]
    assert refusals == []
