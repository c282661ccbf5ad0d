"""The sentence about a run, for every way a run can go."""

import datetime as dt

import pytest

from webmon.runs.verdict import RunFacts, StepFacts, Tone, Verdict, WhyNotReduced, verdict
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Phase, Step

T0 = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def facts(
    reduction: StepFacts | None = None,
    *,
    catalogue: StepFacts | None = None,
    has_data: bool = True,
    why: WhyNotReduced = WhyNotReduced.UNKNOWN,
) -> RunFacts:
    return RunFacts(
        instrument="arcs",
        created_at=T0,
        data_ready_at=T0 if has_data else None,
        steps={
            Step.CATALOGUING: catalogue or StepFacts(Step.CATALOGUING, Phase.WAITING),
            Step.REDUCTION: reduction or StepFacts(Step.REDUCTION, Phase.WAITING),
            Step.REDUCTION_CATALOGUING: StepFacts(Step.REDUCTION_CATALOGUING, Phase.WAITING),
        },
        why_not_reduced=why,
    )


def reduction(phase: Phase, *, attempt: int = 1, error: str = "") -> StepFacts:
    started = after(10.2) if phase >= Phase.STARTED else None
    return StepFacts(
        Step.REDUCTION,
        phase,
        attempt,
        agent="autoreducer3" if started else "",
        requested_at=after(0.1),
        started_at=started,
        ended_at=after(12) if phase.is_final else None,
        error=error,
    )


def sentence(run: RunFacts) -> str:
    said = verdict(run)
    return f"{said.before}{'<age>' if said.since else ''}{said.after}"


def test_a_run_without_data_is_being_acquired() -> None:
    run = facts(has_data=False)
    assert run.state is RunState.ACQUIRING
    assert verdict(run) == Verdict(Tone.BUSY, "Acquiring since ", T0, ".")


def test_a_run_waits_until_an_agent_takes_it() -> None:
    said = verdict(facts(reduction(Phase.REQUESTED)))
    assert said.since == after(0.1)
    assert (said.before, said.after) == (
        "Waiting for reduction since ",
        ": no agent has taken it yet.",
    )


def test_a_run_that_nobody_asked_to_reduce_says_so() -> None:
    assert sentence(facts()) == "Waiting since <age>: no reduction was requested yet."


def test_a_reduction_under_way_names_its_agent() -> None:
    run = facts(reduction(Phase.STARTED))
    assert run.state is RunState.RUNNING
    assert sentence(run) == "Reducing since <age> by autoreducer3."


def test_a_good_run_says_how_long_it_took() -> None:
    run = facts(reduction(Phase.DONE))
    assert sentence(run) == "Reduced in 1.8 s by autoreducer3, 12 s after the run ended."
    assert verdict(run).tone is Tone.GOOD


def test_a_later_attempt_does_not_count_from_the_end_of_the_run() -> None:
    run = facts(reduction(Phase.DONE, attempt=2))
    assert sentence(run) == "Reduced in 1.8 s by autoreducer3."


def test_a_failure_tells_its_first_line_and_where_the_rest_is() -> None:
    run = facts(reduction(Phase.FAILED, error="\nREDUCTION: vanadium is missing\n  at line 3"))
    assert verdict(run).tone is Tone.BAD
    assert sentence(run) == (
        "Reduction failed after 1.8 s on agent autoreducer3: vanadium is missing. "
        "The whole error is below."
    )


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        ("REDUCTION: no vanadium", ": no vanadium."),
        ("what?", ": what?"),
        (" \n ", ". The agent gave no reason."),
        ("", ". The agent gave no reason."),
    ],
)
def test_a_short_error_is_told_whole(error: str, ending: str) -> None:
    run = facts(reduction(Phase.FAILED, error=error))
    assert sentence(run) == f"Reduction failed after 1.8 s on agent autoreducer3{ending}"


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        (WhyNotReduced.NO_SCRIPT, "Not reduced: there is no reduction script for ARCS."),
        (WhyNotReduced.NOT_NEEDED, "Not reduced: this run was marked as not needing it."),
        (WhyNotReduced.UNKNOWN, "Not reduced."),
    ],
)
def test_a_skipped_reduction_says_why(why: WhyNotReduced, expected: str) -> None:
    run = facts(reduction(Phase.SKIPPED), why=why)
    assert sentence(run) == expected
    assert verdict(run).tone is Tone.CALM


@pytest.mark.parametrize("phase", [Phase.REQUESTED, Phase.STARTED, Phase.SKIPPED, Phase.DONE])
def test_a_failed_cataloguing_is_told_with_every_reduction(phase: Phase) -> None:
    failed = StepFacts(Step.CATALOGUING, Phase.FAILED, 1, error="CATALOG: ONCat is away")
    run = facts(reduction(phase), catalogue=failed)
    assert run.state is RunState.FAILED
    assert sentence(run).endswith(". Cataloguing failed: ONCat is away.")


def test_a_failed_cataloguing_before_any_reduction() -> None:
    failed = StepFacts(Step.CATALOGUING, Phase.FAILED, 1)
    run = facts(catalogue=failed)
    assert sentence(run) == "Not reduced yet. Cataloguing failed."
