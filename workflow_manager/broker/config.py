"""Where the broker is and who we are there."""

from dataclasses import dataclass

from workflow_manager.kernel.environment import addresses, text, variable


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    brokers: tuple[tuple[str, int], ...]
    user: str
    password: str
    heartbeat_ms: int = 10_000
    client_name: str = "webmon"


@dataclass(frozen=True, slots=True)
class WorkflowBrokerVariables:
    """The variables of the workflow manager's broker connection."""

    brokers: tuple[tuple[str, int], ...] = variable(
        "AMQ_BROKER", addresses, "the brokers, as a JSON list of [host, port], tried in order"
    )
    user: str = variable("WORKFLOW_USER", text, "the broker user of the workflow manager")
    password: str = variable(
        "WORKFLOW_PASS", text, "the broker password of the workflow manager", secret=True
    )
