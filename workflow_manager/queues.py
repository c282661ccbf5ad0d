"""The queues that a site adds to those of the workflow: which names they may have, who reads them.

Every name that staff may type goes through `plain`. What is refused is said in one sentence.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection, transaction

from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES, JOB_QUEUES
from workflow_manager.models import Queue, RefusedSubscription, Route

# The workflow manager listens on it for changes of what it reads.
ROUTING = "routing"

# Agents take their work from these.
AGENT_QUEUES = frozenset(
    {
        *JOB_QUEUES,
        *(names.CALVERA_RAW_JOBS, names.CALVERA_REDUCED_JOBS),
        *(names.INTERSECT_RAW_JOBS, names.INTERSECT_REDUCED_JOBS),
        names.SCRIPT_REQUESTS,
    }
)

_PLAIN = re.compile(r"[A-Z0-9_]+(\.[A-Z0-9_]+)*", re.ASCII)
_LONGEST = 200
DEAD_LETTERS = frozenset(name.upper() for name in names.DEAD_LETTER_QUEUES)


class RoutingError(ValueError):
    """A wish about queues or routes that cannot be; `field` is what to correct."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class SiteInputs:
    """What the table says the workflow manager reads besides the built-in queues.

    `unfit` are rows that somebody wrote by hand and that are not subscribed to, with the reason.
    """

    names: tuple[str, ...]
    unfit: Mapping[str, str]


def plain(text: str, field: str) -> str:
    """The name as it is stored: upper case, without prefix, of one queue only.

    Raises:
        RoutingError: it is no such name.
    """
    name = text.strip().upper()
    if name.startswith("/"):
        raise RoutingError(field, f"Write {text} without its prefix: a name has no slash.")
    if len(name) > _LONGEST:
        raise RoutingError(
            field, f"The name {name[:40]}… has {len(name)} characters; {_LONGEST} is the most."
        )
    if not _PLAIN.fullmatch(name):
        raise RoutingError(
            field,
            f"{text!r} is no name of one queue: that is letters, digits and underscores, in words "
            "with single dots between them.",
        )
    return name


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: what may have been meant."""
    found = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(found)}?" if found else "."


def inputs() -> frozenset[str]:
    """Every queue that the workflow manager reads, by its plain name."""
    return frozenset(INPUT_QUEUES) | frozenset(site_inputs().names)


def site_inputs() -> SiteInputs:
    """What sites added to be read, without what must not be read."""
    fit, unfit = [], {}
    for name in Queue.objects.filter(is_workflow_input=True).values_list("name", flat=True):
        try:
            _check_input(name, field="name")
        except RoutingError as error:
            unfit[name] = str(error)
        else:
            fit.append(name)
    return SiteInputs(tuple(fit), unfit)


def validated(name: str, *, is_workflow_input: bool = True) -> str:
    """The name as it would be stored.

    Raises:
        RoutingError: there may be no such queue of a site.
    """
    name = plain(name, "name")
    if name in INPUT_QUEUES:
        raise RoutingError("name", f"{name} is built in: the workflow manager reads it anyway.")
    if is_workflow_input:
        _check_input(name, field="name")
        _check_no_target(name)
    return name


def add(name: str, *, is_workflow_input: bool = True) -> Queue:
    """Make a queue known, and have it read if it is an input; a known one is changed.

    Raises:
        RoutingError: the name is unfit.
    """
    with transaction.atomic():
        lock()
        name = validated(name, is_workflow_input=is_workflow_input)
        queue, _ = Queue.objects.update_or_create(
            name=name, defaults={"is_workflow_input": is_workflow_input}
        )
        _tell()
    return queue


def remove(name: str) -> None:
    """Forget a queue of the site; what waits in it stays in the broker.

    Raises:
        RoutingError: it is built in, unknown, or a route begins there.
    """
    with transaction.atomic():
        lock()
        queue = removable(name)
        queue.delete()
        _tell()


def report_refused(refused: Mapping[str, str]) -> None:
    """Write down what is not read although it is wanted; pages show it."""
    with transaction.atomic():
        RefusedSubscription.objects.exclude(destination__in=refused).delete()
        for destination, reason in refused.items():
            RefusedSubscription.objects.update_or_create(
                destination=destination, defaults={"reason": reason}
            )


def refused() -> dict[str, str]:
    """What the workflow manager wants to read and does not get, with the reason.

    Not the dead letters: each kind of broker has its own names for them, and lacks the others'.
    """
    dead_letters = map(names.queue, names.DEAD_LETTER_QUEUES)
    found = RefusedSubscription.objects.exclude(destination__in=dead_letters)
    return dict(found.order_by("destination").values_list("destination", "reason"))


def trouble_of(name: str) -> str:
    """Why this queue is not read although it is wanted; empty if it is, or not wanted."""
    spellings = (name, names.queue(name))
    found = RefusedSubscription.objects.filter(destination__in=spellings)
    return found.values_list("reason", flat=True).first() or ""


def lock() -> None:
    """Until the transaction ends nobody else changes queues or routes.

    Otherwise one could make a target of what another makes an input.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [ROUTING])


def removable(name: str) -> Queue:
    """The queue of that name, if it may be removed.

    Raises:
        RoutingError: it is built in, unknown, or a route begins there.
    """
    # A name that was written by hand may be no plain name.
    name = name.strip()
    queue = Queue.objects.filter(name__in={name, name.upper()}).first()
    if queue is None and name.upper() in INPUT_QUEUES:
        raise RoutingError("name", f"{name.upper()} is built in and cannot be removed.")
    if queue is None:
        known = Queue.objects.values_list("name", flat=True)
        raise RoutingError("name", f"The site has no queue {name}{nearest(name.upper(), known)}")
    route = Route.objects.filter(queue=queue.name).select_related("instrument").first()
    if route is not None:
        raise RoutingError(
            "name", f"{route.instrument} has a route for {queue.name}; clear that first."
        )
    return queue


def _check_input(name: str, field: str) -> None:
    if plain(name, field) != name:
        raise RoutingError(field, f"{name} is not written in capitals.")
    if name in AGENT_QUEUES:
        raise RoutingError(
            field,
            f"Agents take their work from {name}; if the workflow manager read it, they would not "
            "get it.",
        )
    if name in DEAD_LETTERS:
        raise RoutingError(field, f"{name} is for dead letters, which are looked at anyway.")


def _check_no_target(name: str) -> None:
    route = Route.objects.filter(targets__contains=[name]).select_related("instrument").first()
    if route is not None:
        raise RoutingError(
            "name",
            f"The route of {route.instrument} for {route.queue} sends to {name}; if the workflow "
            "manager read it, messages would go round in circles.",
        )


def _tell() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [ROUTING])
