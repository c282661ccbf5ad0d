"""The short form of `bin/bench faults`: every part is killed at least once while runs come in."""

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from benchmarks import audit, faults, nemesis, storm
from benchmarks.faults import RECOVERY, Outcome, Wishes
from benchmarks.nemesis import Fault, Victim
from tests.facility import Facility, require, running_facility

SHORT = Wishes(runs=150, faults=8, seed=20_261_121, broker="activemq", gap=3.0)


@pytest.fixture(scope="module")
def plant() -> Iterator[Facility]:
    if reason := require(SHORT.broker):
        pytest.skip(reason)
    with running_facility(SHORT.broker) as running:
        yield running


@pytest.fixture(scope="module")
def outcome(plant: Facility) -> Outcome:
    return faults.endure(plant, SHORT)


def test_nothing_is_lost_and_nothing_is_done_twice(outcome: Outcome) -> None:
    assert {blow.victim for blow in outcome.blows} == set(Victim)
    assert outcome.audit.wrong == [], faults.report(outcome)
    assert outcome.recovery <= RECOVERY, faults.report(outcome)


def test_a_seed_says_who_is_killed_and_when() -> None:
    def plan(seed: int) -> list[Fault]:
        return nemesis.plan(20, 5.0, list(Victim), random.Random(seed))  # noqa: S311

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)
    assert Counter(fault.victim for fault in plan(1)) == dict.fromkeys(Victim, 4)


def forget_an_event(plant: Facility) -> None:
    change(plant, "DELETE FROM workflow_event WHERE queue = 'REDUCTION.STARTED'")


def forget_runs(plant: Facility) -> None:
    change(plant, "UPDATE workflow_run SET reduction = 2 WHERE number = 7")


def run_a_script_again(plant: Facility) -> None:
    (diary,) = plant.root.glob(f"SNS/{storm.INSTRUMENT}/*/shared/autoreduce/*_9.nxs.h5.diary")
    diary.write_text(diary.read_text(encoding="utf-8") * 2, encoding="utf-8")


def attempt_a_step_again(plant: Facility) -> None:
    change(
        plant,
        "UPDATE workflow_job SET attempt = 2 FROM workflow_run AS run"
        " WHERE run.id = run_id AND run.number = 11 AND step = 'cataloguing'",
    )


def bury(plant: Facility) -> None:
    plant.send("/queue/DLQ", b"nothing")
    assert plant.await_true(
        lambda: plant.query("SELECT 1 FROM workflow_rejected_message") != [], 20
    )


def change(plant: Facility, statement: str) -> None:
    assert plant.query(f"{statement} RETURNING 1") != []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (forget_an_event, "run 5: no event REDUCTION.STARTED"),
        (forget_runs, "run 7 is not complete"),
        (run_a_script_again, "run 9: its script ran 2 times for 1 attempts"),
        (attempt_a_step_again, "run 11: attempt 2 at cataloguing, and no reason is given"),
        (bury, "rejected on "),
    ],
)
def test_the_audit_sees_what_is_wrong(
    plant: Facility, outcome: Outcome, spoil: Callable[[Facility], None], sentence: str
) -> None:
    spoil(plant)
    wrong = audit.audit(plant, outcome.announcements).wrong
    assert [each for each in wrong if each.startswith(sentence)] != []
