"""What the workflow manager needs to know; the fields document it."""

from dataclasses import dataclass
from pathlib import Path

from workflow_manager.kernel.environment import addresses, integer, text, variable


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
    batch: int = variable(
        "WORKFLOW_BATCH", integer, "messages handled in one transaction, at most", default=500
    )
