"""What the workflow manager needs to know; the fields document it."""

import re
from dataclasses import dataclass
from pathlib import Path

from workflow_manager.domain.destinations import FACILITIES
from workflow_manager.domain.recovery import MOST_RECOVERIES
from workflow_manager.kernel.environment import addresses, integer, names, text, variable

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)


def prefixes(value: str) -> tuple[str, ...]:
    """Names of facilities as topics begin with them.

    Raises:
        ValueError: one is no single word; a wildcard would let anybody in.
    """
    found = names(value)
    wrong = [name for name in found if not _WORD.fullmatch(name)]
    if wrong or not found:
        raise ValueError(f"{', '.join(wrong) or 'nothing'} is no first word of a topic")
    return found


_HIGHEST_COUNT = 100


def recovery_count(value: str) -> int:
    """A whole number that a job's counter can reach."""
    if not 0 <= (count := int(value)) <= _HIGHEST_COUNT:
        raise ValueError(f"write a number from 0 to {_HIGHEST_COUNT}")
    return count


@dataclass(frozen=True, slots=True)
class WorkflowConfig:
    brokers: tuple[tuple[str, int], ...] = variable(
        "AMQ_BROKER", addresses, "the brokers, as a JSON list of [host, port], tried in order"
    )
    user: str = variable("WORKFLOW_USER", text, "the broker user of the workflow manager")
    password: str = variable(
        "WORKFLOW_PASS", text, "the broker password of the workflow manager", secret=True
    )
    facility_root: Path = variable(
        "FACILITY_ROOT", Path, "where /SNS and /HFIR are on this machine", default=Path("/")
    )
    facilities: tuple[str, ...] = variable(
        "FACILITIES",
        prefixes,
        "the first words of the topics on which data acquisition tells of runs, "
        "such as SNS in SNS.ARCS.APP.SMS",
        default=FACILITIES,
    )
    batch: int = variable(
        "WORKFLOW_BATCH", integer, "messages handled in one transaction, at most", default=500
    )
    recoveries: int = variable(
        "WORKFLOW_RECOVERIES",
        recovery_count,
        "how often in a row a job is sent again by itself; 0 never",
        default=MOST_RECOVERIES,
    )
