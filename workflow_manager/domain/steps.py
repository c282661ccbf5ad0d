"""The parts of every run's processing, and how far each one is."""

import enum


class Step(enum.StrEnum):
    """What every run goes through. A queue that a route names may add a step of its own name."""

    CATALOGUING = "cataloguing"
    REDUCTION = "reduction"
    REDUCTION_CATALOGUING = "reduction_cataloguing"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Step.CATALOGUING: "Cataloguing",
    Step.REDUCTION: "Reduction",
    Step.REDUCTION_CATALOGUING: "Reduction cataloguing",
}


def step_label(step: str) -> str:
    """How people read a step: `Reduction`, or `Calvera raw` of a route's queue."""
    if step in _LABELS:
        return _LABELS[Step(step)]
    return step.replace(".", " ").replace("_", " ").capitalize()


class Phase(enum.IntEnum):
    """Within one attempt a step only moves up, whatever order the reports arrive in."""

    WAITING = 0
    REQUESTED = 1
    STARTED = 2
    FAILED = 3
    SKIPPED = 4
    DONE = 5

    @property
    def is_final(self) -> bool:
        return self >= Phase.FAILED

    @property
    def word(self) -> str:
        return self.name.lower()
