"""Values of the pages about the system: how its parts are, and what could not be handled."""

import datetime as dt
import enum
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webmon.runs.verdict import Tone
from webmon.system.listener import LISTENER_LATE, ListenerLine, listener_cause, listener_lines
from webmon.system.odd_bytes import visible
from workflow_manager import health, queues, reconciliation, selectors
from workflow_manager.domain.liveness import AGENT_LATE, MANAGER_LATE, Liveness
from workflow_manager.health import AgentHealth, ManagerHealth, OutboxHealth, QueueHealth
from workflow_manager.models import Discrepancy, RejectedMessage
from workflow_manager.selectors import Discrepancies, Position, RunningJob

ROWS = 50
DISCREPANCIES = 500
SHOWN_BYTES = 256 * 1024


class Light(enum.StrEnum):
    """How a part of the system is, in the words that stand beside it."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with what it does now."""

    health: AgentHealth
    jobs: tuple[RunningJob, ...]


@dataclass(frozen=True, slots=True)
class SystemPage:
    """Every part of the system, with the age of what is known of it.

    `database_answers_in` is how long the database took to answer; if it did not, there is no page.
    `refused` are queues and topics that the broker does not let us read, each with the reason.
    `manager_every` and `agent_every` are how often signs are expected.
    """

    tone: Tone
    sentence: str
    database_answers_in: dt.timedelta
    broker: Light
    broker_at: dt.datetime | None
    last_event_at: dt.datetime | None
    managers: tuple[ManagerHealth, ...]
    outbox: OutboxHealth
    agents: tuple[Agent, ...]
    queues: tuple[QueueHealth, ...]
    refused: Mapping[str, str]
    rejected: int
    discrepancies: tuple[Discrepancies, ...]
    listeners: tuple[ListenerLine, ...]
    manager_every: dt.timedelta
    agent_every: dt.timedelta
    listener_every: dt.timedelta
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class DiscrepancyRow:
    """`has_run` tells whether there is a run page to go to."""

    instrument: str
    number: int
    kind: str
    has_run: bool
    data_file: str
    found_at: dt.datetime


@dataclass(frozen=True, slots=True)
class DiscrepancyPage:
    """Newest first; `is_cut` if there are more than are shown."""

    instrument: str
    rows: tuple[DiscrepancyRow, ...]
    is_cut: bool
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """`outcome` is `open` while nobody has settled the message."""

    id: int
    destination: str
    reason: str
    received_at: dt.datetime
    size: int
    outcome: str
    outcome_by: str


@dataclass(frozen=True, slots=True)
class RejectedListPage:
    """Newest first; `older` is the `before` of the next part, empty at the end."""

    rows: tuple[RejectedRow, ...]
    shows_all: bool
    is_first_part: bool
    older: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RejectedPage:
    """`pretty` is empty unless the body is JSON; `raw` shows every byte, odd ones escaped."""

    id: int
    destination: str
    message_id: str
    reason: str
    received_at: dt.datetime
    headers: Mapping[str, str]
    size: int
    pretty: str
    raw: str
    is_cut: bool
    outcome: str
    outcome_at: dt.datetime | None
    outcome_by: str
    outcome_reason: str
    said: str
    problem: str


def system_page(now: dt.datetime) -> SystemPage:
    """A question for each part; the database is timed with the first."""
    begun = time.perf_counter()
    managers = health.managers()
    answered_in = dt.timedelta(seconds=time.perf_counter() - begun)
    known, agents = selectors.health(), health.agents()
    broker, broker_at = _broker(managers)
    listeners = listener_lines()
    tone, sentence = _cause(managers, broker, agents, listeners)
    return SystemPage(
        tone=tone,
        sentence=sentence,
        database_answers_in=answered_in,
        broker=broker,
        broker_at=broker_at,
        last_event_at=known.last_event_at,
        managers=tuple(managers),
        outbox=OutboxHealth(known.outgoing, known.oldest_outgoing_at),
        agents=_agents(agents),
        queues=tuple(health.queues()),
        refused=queues.refused(),
        rejected=known.rejected,
        discrepancies=tuple(selectors.open_discrepancies_by_instrument()),
        listeners=listeners,
        listener_every=LISTENER_LATE,
        manager_every=MANAGER_LATE,
        agent_every=AGENT_LATE,
        read_at=now,
    )


def _broker(managers: Sequence[ManagerHealth]) -> tuple[Light, dt.datetime | None]:
    """What the managers that live say of the broker, and when the last said so."""
    alive = [each for each in managers if each.liveness is Liveness.OK]
    if not alive:
        return Light.UNKNOWN, max((each.seen_at for each in managers), default=None)
    light = Light.GOOD if any(each.is_connected for each in alive) else Light.BAD
    return light, max(each.seen_at for each in alive)


def _cause(
    managers: Sequence[ManagerHealth],
    broker: Light,
    agents: Sequence[AgentHealth],
    listeners: Sequence[ListenerLine],
) -> tuple[Tone, str]:
    """The first part in the chain that is ill explains those behind it, so it is told."""
    for problem in (*_problems(managers, broker, agents), listener_cause(listeners)):
        if problem:
            return Tone.BAD, problem
    # One that has been silent for long was taken away: the table still shows it.
    late = [each.name for each in agents if each.liveness is Liveness.LATE]
    if late:
        return Tone.BUSY, f"Everything works but for agents that are late: {', '.join(late)}."
    return Tone.GOOD, "Every part gives its signs of life."


def _problems(
    managers: Sequence[ManagerHealth], broker: Light, agents: Sequence[AgentHealth]
) -> Iterator[str]:
    """What is wrong with the workflow, cause first."""
    if not managers:
        yield "No workflow manager was ever heard: start manage.py run_workflow_manager."
    if broker is Light.UNKNOWN:
        yield "No workflow manager runs: messages wait in the broker, nothing is lost."
    if broker is Light.BAD:
        yield "The message broker is away: nothing arrives and nothing is sent."
    if not any(each.liveness is Liveness.OK for each in agents):
        yield "No agent gives a sign of life: jobs wait in the broker."


def _agents(agents: Sequence[AgentHealth]) -> tuple[Agent, ...]:
    jobs: dict[str, list[RunningJob]] = {}
    for job in selectors.running_jobs():
        jobs.setdefault(job.agent, []).append(job)
    return tuple(Agent(each, tuple(jobs.get(each.name, ()))) for each in agents)


def discrepancy_page(instrument: str, now: dt.datetime) -> DiscrepancyPage:
    """What is not settled, of one instrument or of all."""
    limit = DISCREPANCIES + 1
    found = reconciliation.open_discrepancies(instrument=instrument, limit=limit)
    rows = tuple(map(_discrepancy, found[:DISCREPANCIES]))
    return DiscrepancyPage(instrument, rows, len(found) > DISCREPANCIES, now)


def _discrepancy(found: Discrepancy) -> DiscrepancyRow:
    return DiscrepancyRow(
        instrument=found.instrument.name,
        number=found.number,
        kind=found.kind,
        has_run=found.kind == Discrepancy.Kind.RUN_WITHOUT_FILE,
        data_file=found.data_file,
        found_at=found.found_at,
    )


def rejected_list_page(
    older_than: Position | None, now: dt.datetime, *, shows_all: bool = False
) -> RejectedListPage:
    outcome = None if shows_all else RejectedMessage.Outcome.OPEN
    found = selectors.rejected_messages(limit=ROWS + 1, older_than=older_than, outcome=outcome)
    shown = found[:ROWS]
    last = shown[-1] if len(found) > ROWS else None
    older = f"{last.received_at.isoformat()}~{last.id}" if last else ""
    return RejectedListPage(tuple(map(_row, shown)), shows_all, older_than is None, older, now)


def rejected_page(message: RejectedMessage, *, said: str = "", problem: str = "") -> RejectedPage:
    """`said` is what came of a wish about it, `problem` why nothing came of it."""
    body = bytes(message.body)
    return RejectedPage(
        id=message.id,
        destination=message.destination,
        message_id=message.message_id,
        reason=message.reason,
        received_at=message.received_at,
        headers=message.headers,
        size=len(body),
        pretty=_pretty(body),
        raw=visible(body[:SHOWN_BYTES]),
        is_cut=len(body) > SHOWN_BYTES,
        outcome=message.outcome,
        outcome_at=message.outcome_at,
        outcome_by=message.outcome_by,
        outcome_reason=message.outcome_reason,
        said=said,
        problem=problem,
    )


def _pretty(body: bytes) -> str:
    if len(body) > SHOWN_BYTES:
        return ""
    try:
        return visible(json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode())
    except (ValueError, RecursionError):
        return ""


def _row(message: RejectedMessage) -> RejectedRow:
    return RejectedRow(
        id=message.id,
        destination=message.destination,
        reason=message.reason,
        received_at=message.received_at,
        size=len(message.body),
        outcome=message.outcome,
        outcome_by=message.outcome_by,
    )
