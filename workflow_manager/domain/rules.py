"""The workflow as one table: what a message reports, and where the run goes next."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflow_manager.domain import destinations as names
from workflow_manager.domain.steps import Phase, Step


@dataclass(frozen=True, slots=True)
class Rule:
    """`phase` of `step` is reported, and a job is sent to each queue of `then`.

    A report that names its job is about that job's step; `step` is for reports without a name.
    """

    step: str | None = None
    phase: Phase | None = None
    then: tuple[str, ...] = ()


RECORD_ONLY = Rule()

RULES: Mapping[str, Rule] = {
    # from the data acquisition, or from a person
    names.POSTPROCESS_DATA_READY: Rule(then=(names.CATALOG_JOBS, names.REDUCTION_JOBS)),
    names.CATALOG_REQUEST: Rule(then=(names.CATALOG_JOBS,)),
    names.REDUCTION_REQUEST: Rule(then=(names.REDUCTION_JOBS,)),
    names.REDUCTION_CATALOG_REQUEST: Rule(then=(names.REDUCTION_CATALOG_JOBS,)),
    names.REDUCTION_NOT_NEEDED: Rule(Step.REDUCTION, Phase.SKIPPED),
    # from agents
    names.CATALOG_STARTED: Rule(Step.CATALOGUING, Phase.STARTED),
    names.CATALOG_COMPLETE: Rule(Step.CATALOGUING, Phase.DONE),
    names.CATALOG_ERROR: Rule(Step.CATALOGUING, Phase.FAILED),
    names.REDUCTION_STARTED: Rule(Step.REDUCTION, Phase.STARTED),
    names.REDUCTION_COMPLETE: Rule(
        Step.REDUCTION, Phase.DONE, then=(names.REDUCTION_CATALOG_JOBS,)
    ),
    names.REDUCTION_ERROR: Rule(Step.REDUCTION, Phase.FAILED),
    names.REDUCTION_DISABLED: Rule(Step.REDUCTION, Phase.SKIPPED),
    names.REDUCTION_CATALOG_STARTED: Rule(Step.REDUCTION_CATALOGUING, Phase.STARTED),
    names.REDUCTION_CATALOG_COMPLETE: Rule(Step.REDUCTION_CATALOGUING, Phase.DONE),
    names.REDUCTION_CATALOG_ERROR: Rule(Step.REDUCTION_CATALOGUING, Phase.FAILED),
    # Agents in the field report a failed cataloguing of reduced data under this name.
    names.REDUCED_CATALOG_ERROR_OF_OLD_AGENTS: Rule(Step.REDUCTION_CATALOGUING, Phase.FAILED),
    # An agent could not even begin: the job in the message tells which step.
    names.POSTPROCESS_ERROR: Rule(phase=Phase.FAILED),
    # facts for the run's history
    names.POSTPROCESS_INFO: RECORD_ONLY,
    names.POSTPROCESS_CHECK: RECORD_ONLY,
    names.LEGACY_CATALOG_STARTED: RECORD_ONLY,
    names.LEGACY_CATALOG_COMPLETE: RECORD_ONLY,
    names.TRANSLATION_STARTED: RECORD_ONLY,
    names.TRANSLATION_COMPLETE: RECORD_ONLY,
    names.FERMI_REDUCTION: RECORD_ONLY,
    names.SMS: RECORD_ONLY,
}

# The queues that agents take jobs from, and the step that each is an attempt at.
JOB_QUEUES: Mapping[str, Step] = {
    names.CATALOG_JOBS: Step.CATALOGUING,
    names.REDUCTION_JOBS: Step.REDUCTION,
    names.HIGH_MEMORY_REDUCTION_JOBS: Step.REDUCTION,
    names.REDUCTION_CATALOG_JOBS: Step.REDUCTION_CATALOGUING,
}

# Agents of these kinds report the end of a job, and only if a route sent them one.
_REPORTS_OF_ROUTES = (
    *(names.CALVERA_RAW_COMPLETE, names.CALVERA_RAW_ERROR),
    *(names.CALVERA_REDUCED_COMPLETE, names.CALVERA_REDUCED_ERROR),
    *(names.INTERSECT_RAW_COMPLETE, names.INTERSECT_RAW_ERROR),
    *(names.INTERSECT_REDUCED_COMPLETE, names.INTERSECT_REDUCED_ERROR),
)

# These are names in a run's history and no queues: SMS comes as topics, and the wish for the last
# step from within.
_NOT_ON_THE_WIRE = frozenset({names.SMS, names.REDUCTION_CATALOG_REQUEST})

# What the manager always subscribes to: every queue with a rule. A site adds others in the
# database.
INPUT_QUEUES = (
    *(name for name in RULES if name not in _NOT_ON_THE_WIRE),
    *_REPORTS_OF_ROUTES,
)

# What a person asks for, by the step; None is everything that follows when data is ready.
WISH_QUEUES: Mapping[Step | None, str] = {
    None: names.POSTPROCESS_DATA_READY,
    Step.CATALOGUING: names.CATALOG_REQUEST,
    Step.REDUCTION: names.REDUCTION_REQUEST,
    Step.REDUCTION_CATALOGUING: names.REDUCTION_CATALOG_REQUEST,
}

_JOB_SUFFIX = ".DATA_READY"
_REPORT_SUFFIXES = {
    ".STARTED": Phase.STARTED,
    ".COMPLETE": Phase.DONE,
    ".ERROR": Phase.FAILED,
}


def rule_for(queue: str) -> Rule:
    """The rule of a queue by its bare name; an unknown queue is a fact to record, not an error.

    A report on a queue that has no rule of its own is about the step of that name: what
    `CALVERA.RAW.COMPLETE` ends, `CALVERA.RAW.DATA_READY` began, and so with a site's queues.
    """
    if queue in RULES:
        return RULES[queue]
    for suffix, phase in _REPORT_SUFFIXES.items():
        if queue.endswith(suffix):
            return Rule(_named_step(queue, suffix), phase)
    return RECORD_ONLY


def step_of(queue: str) -> str:
    """The step that a job on this queue is an attempt at."""
    return JOB_QUEUES.get(queue) or _named_step(queue, _JOB_SUFFIX)


def _named_step(queue: str, suffix: str) -> str:
    return queue.removesuffix(suffix).lower()
