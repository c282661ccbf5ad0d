"""The few words that people read, derived from the phases of a run's steps."""

import enum
from collections.abc import Mapping

from workflow_manager.domain.steps import Phase, Step


class RunState(enum.StrEnum):
    ACQUIRING = "acquiring"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


def run_state(phases: Mapping[Step, Phase], *, has_data: bool) -> RunState:
    """The state of a run: `has_data` once its data file was announced."""
    reached = set(phases.values())
    if not has_data and reached == {Phase.WAITING}:
        return RunState.ACQUIRING
    if Phase.FAILED in reached:
        return RunState.FAILED
    if is_complete(phases):
        reduced = phases[Step.REDUCTION] == Phase.DONE
        return RunState.DONE if reduced else RunState.SKIPPED
    return RunState.RUNNING if Phase.STARTED in reached else RunState.WAITING


def is_complete(phases: Mapping[Step, Phase]) -> bool:
    """Catalogued, and reduced with its results catalogued, but for what is not wanted."""
    if phases[Step.CATALOGUING] not in _ENDED_WELL:
        return False
    if phases[Step.REDUCTION] == Phase.SKIPPED:
        return True
    return (
        phases[Step.REDUCTION] == Phase.DONE and phases[Step.REDUCTION_CATALOGUING] in _ENDED_WELL
    )


_ENDED_WELL = frozenset({Phase.SKIPPED, Phase.DONE})
