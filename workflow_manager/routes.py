"""Where an instrument's runs go, if not where the rules say; and what that does, beforehand.

What follows a message is asked of the ledger that will handle the real ones, never worked out a
second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from workflow_manager import queues
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import RULES, WISH_QUEUES
from workflow_manager.domain.steps import Phase, step_label
from workflow_manager.ledger import RunLedger
from workflow_manager.models import Instrument, Queue, Route
from workflow_manager.protocol.messages import RunMessage
from workflow_manager.queues import RoutingError

Routes = Mapping[str, Sequence[str]]

_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A route that may be; nothing is stored yet."""

    instrument: Instrument
    queue: str
    targets: tuple[str, ...]

    @property
    def routes(self) -> Routes:
        """The instrument's routes as they would be."""
        return {**routes_of(self.instrument), self.queue: self.targets}


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a message on `queue` does: the job queues that are served, the steps that are not.

    `is_for_agents`: the workflow manager never reads that queue.
    """

    queue: str
    sent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_stopped: bool = False
    is_for_agents: bool = False
    hides: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.is_for_agents:
            return self._of_agents()
        if self.sent:
            words = f"sends {', then '.join(self.sent)}"
        elif self.is_stopped:
            words = "nothing follows: the run stops there on purpose"
        else:
            words = "is recorded; nothing follows"
        if self.left_out:
            words += f"; leaves out {', '.join(map(step_label, self.left_out)).lower()}"
        return words

    def _of_agents(self) -> str:
        words = "is read by agents, not by the workflow manager; nothing changes in what is sent"
        return f"{words}; pages do not offer {self.hides}" if self.hides else words


def validated(instrument: str, queue: str, targets: Sequence[str]) -> Proposal:
    """The route as it would be stored.

    Raises:
        RoutingError: it cannot be; `field` is `instrument`, `queue` or `targets`.
    """
    owner = known_instrument(instrument)
    read = beginnings()
    queue = _known_queue(queue, read)
    plain = [queues.plain(target, "targets") for target in targets]
    _check_targets(plain, read)
    if plain and queue not in read:
        raise RoutingError(
            "targets",
            f"{queue} is read by agents, so nothing can be sent after it; a route without targets "
            "only hides it on the pages.",
        )
    return Proposal(owner, queue, tuple(plain))


def beginnings() -> frozenset[str]:
    """Where a route can begin: what is read, and wishes, of which one has no queue of its own."""
    return queues.inputs() | set(WISH_QUEUES.values())


def set_route(instrument: str, queue: str, targets: Sequence[str], by: str) -> Route:
    """Send this instrument's runs to `targets` after a message on `queue`, from the next one on.

    Without targets they stop there on purpose.

    Raises:
        RoutingError: see `validated`.
    """
    with transaction.atomic():
        queues.lock()
        proposal = validated(instrument, queue, targets)
        route, _ = Route.objects.update_or_create(
            instrument=proposal.instrument,
            queue=proposal.queue,
            defaults={
                "targets": list(proposal.targets),
                "changed_by": by,
                "changed_at": timezone.now(),
            },
        )
    return route


def clear_routes(instrument: str, queue: str | None = None) -> None:
    """Let runs go where the rules say again, after one queue or after all.

    Raises:
        RoutingError: no such instrument, or no such route.
    """
    with transaction.atomic():
        queues.lock()
        owner = known_instrument(instrument)
        left = without(owner, queue)
        Route.objects.filter(instrument=owner).exclude(queue__in=left).delete()


def without(instrument: Instrument, queue: str | None) -> Routes:
    """The instrument's routes as they would be without that of one queue, or without all.

    Raises:
        RoutingError: it has no route for that queue.
    """
    if queue is None:
        return {}
    present: dict[str, Sequence[str]] = dict(routes_of(instrument))
    name = queue.strip().upper()
    if name not in present:
        raise RoutingError(
            "queue", f"{instrument} has no route for {name}{queues.nearest(name, present)}"
        )
    del present[name]
    return present


def known_instrument(name: str) -> Instrument:
    """The instrument of that name, in any case.

    Raises:
        RoutingError: there is none.
    """
    found = Instrument.objects.filter(name=name.strip().lower()).first()
    if found is None:
        known = [each.upper() for each in Instrument.objects.values_list("name", flat=True)]
        hint = queues.nearest(name.strip().upper(), known)
        raise RoutingError("instrument", f"There is no instrument {name.strip()}{hint}")
    return found


def routes_of(instrument: Instrument) -> dict[str, list[str]]:
    """Its targets by queue."""
    return dict(Route.objects.filter(instrument=instrument).values_list("queue", "targets"))


def what_follows(instrument: Instrument, queue: str, routes: Routes | None = None) -> Consequence:
    """What the first message of a run on this queue would do.

    Args:
        routes: the instrument's routes as proposed; without it those that it has.
    """
    routes = routes_of(instrument) if routes is None else routes
    if queue in queues.AGENT_QUEUES:
        return _of_agents(queue, routes)
    ledger = RunLedger(routes=routes)
    about = ledger.receive(_message(instrument, queue), _SOME_TIME)
    others = [job for job in ledger.jobs if job is not about]
    return Consequence(
        queue,
        sent=tuple(job.queue for job in others if job.body is not None),
        left_out=tuple(job.step for job in others if job.phase == Phase.SKIPPED),
        is_stopped=ledger.is_stopped_by_route(queue),
    )


def changes(instrument: Instrument, proposed: Routes) -> list[tuple[Consequence, Consequence]]:
    """What follows now and what would follow, of each queue where anything does or has a route."""
    present = routes_of(instrument)
    usual = [queue for queue, rule in RULES.items() if rule.then]
    others = sorted((present.keys() | proposed.keys()) - set(usual))
    return [
        (what_follows(instrument, queue, present), what_follows(instrument, queue, proposed))
        for queue in (*usual, *others)
    ]


def _of_agents(queue: str, routes: Routes) -> Consequence:
    is_hidden = queue in routes and not routes[queue]
    hides = "reduction" if is_hidden and queue == names.REDUCTION_JOBS else ""
    return Consequence(queue, is_for_agents=True, hides=hides)


def _known_queue(text: str, read: frozenset[str]) -> str:
    queue = queues.plain(text, "queue")
    known = read | queues.AGENT_QUEUES | set(Queue.objects.values_list("name", flat=True))
    if queue not in known:
        raise RoutingError(
            "queue",
            f"The workflow manager does not read {queue}, so nothing can follow it"
            f"{queues.nearest(queue, read)}",
        )
    return queue


def _check_targets(targets: Sequence[str], read: frozenset[str]) -> None:
    for target in targets:
        if targets.count(target) > 1:
            raise RoutingError("targets", f"{target} is named twice; each target gets one job.")
        if target in read:
            raise RoutingError(
                "targets",
                f"The workflow manager itself reads {target}; a run sent there would go round in "
                "circles.",
            )
        if target in queues.DEAD_LETTERS:
            raise RoutingError("targets", f"{target} is for dead letters; no agent reads it.")


def _message(instrument: Instrument, queue: str) -> RunMessage:
    return RunMessage(
        queue=queue,
        instrument=instrument.name,
        run_number=1,
        proposal="IPTS-1",
        facility=instrument.facility,
        data_file="",
        information=None,
        error=None,
        job=None,
        body={},
    )
