"""What pages ask about runs: one query for one question.

Nothing here writes, and nothing here returns a query that is still to run.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import (
    Count,
    DateTimeField,
    Func,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from workflow_manager.domain import destinations as names
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import (
    Batch,
    Discrepancy,
    Event,
    Instrument,
    Job,
    Proposal,
    RejectedMessage,
    Run,
)
from workflow_manager.sql import HEALTH

# How far beside a run's own times its events can be; `sql/record.sql` sees to that.
_AROUND_A_RUN = dt.timedelta(days=1)
_RECENT = dt.timedelta(days=62)

# More than any facility's agents have slots.
MOST_RUNNING = 1000

_PHASE_FIELDS = tuple(step.value for step in Step)
_SHOWN_IN_LISTS = (
    *("run", "step", "attempt", "phase", "requested_at", "started_at", "ended_at"),
    *("agent", "error", "reason", "is_held"),
)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is ordered by time and id, newest first."""

    at: dt.datetime
    id: int


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; an empty field does not restrict."""

    instrument: str = ""
    state: RunState | None = None
    proposal: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentNow:
    """An instrument with its newest run, and the newest whose reduction ended in some way."""

    instrument: Instrument
    newest: Run | None
    newest_reduced: Run | None


@dataclass(frozen=True, slots=True)
class FollowedJob:
    """An attempt, and when the next at the same step was asked for, None if there is none."""

    job: Job
    followed_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class HourOfRuns:
    """How many runs of an instrument began in an hour; `hour` counts from 0 in a list of hours."""

    instrument_id: int
    hour: int
    runs: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What an agent has begun."""

    agent: str
    instrument: str
    run_number: int
    step: str
    started_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Discrepancies:
    """How many discrepancies of an instrument nobody has settled, and the newest of them."""

    instrument: str
    count: int
    found_at: dt.datetime


@dataclass(frozen=True, slots=True)
class SentJob:
    """A job as its message names it."""

    job_id: int
    attempt: int
    queue: str
    instrument: str
    run_number: int


@dataclass(frozen=True, slots=True)
class Health:
    """What the workflow manager left behind: when it last recorded, and what is stuck.

    `last_event_at` is None before the first message, `oldest_outgoing_at` when nothing waits.
    """

    last_event_at: dt.datetime | None
    outgoing: int
    oldest_outgoing_at: dt.datetime | None
    rejected: int


def instruments() -> list[Instrument]:
    """All instruments by name."""
    return list(Instrument.objects.order_by("name"))


def instrument_named(name: str) -> Instrument | None:
    """The instrument of that name, in any case."""
    return Instrument.objects.filter(name=name.lower()).first()


def proposal_named(name: str) -> Proposal | None:
    """The proposal of that name, in any case."""
    return Proposal.objects.filter(name=name.upper()).first()


def latest_runs(wanted: RunFilter, *, limit: int, older_than: Position | None = None) -> list[Run]:
    """Runs by creation, newest first, with instrument and proposal."""
    runs = _with_names(_matching(wanted))
    if older_than is not None:
        # Two conditions, so that the index on the time finds the place.
        runs = runs.filter(created_at__lte=older_than.at).exclude(
            created_at=older_than.at, id__gte=older_than.id
        )
    return list(runs.order_by("-created_at", "-id")[:limit])


def run_ids(wanted: RunFilter, *, limit: int) -> list[int]:
    """The database ids of the newest runs that match."""
    runs = _matching(wanted).order_by("-created_at", "-id")
    return list(runs.values_list("id", flat=True)[:limit])


def instruments_now(known: Collection[Run] = ()) -> list[InstrumentNow]:
    """Every instrument by name with its newest runs; those already `known` are not read again."""
    found = list(
        Instrument.objects.order_by("name").annotate(
            newest=_newest_run(), newest_reduced=_newest_run(reduction__gte=Phase.FAILED.value)
        )
    )
    wanted = {run for each in found for run in (each.newest, each.newest_reduced)} - {None}
    runs = {run.id: run for run in known}
    runs |= _with_names(Run.objects.all()).in_bulk(wanted - set(runs))
    return [
        InstrumentNow(each, runs.get(each.newest), runs.get(each.newest_reduced)) for each in found
    ]


def run_of(instrument: str, number: int) -> Run | None:
    """One run with its instrument and proposal."""
    runs = Run.objects.select_related("instrument", "proposal")
    return runs.filter(instrument__name=instrument.lower(), number=number).first()


def runs_between(
    instrument: Instrument, start: dt.datetime, end: dt.datetime, *, limit: int
) -> list[Run]:
    """Runs of an instrument that began within a time, and the last before it; oldest first."""
    runs = Run.objects.filter(instrument=instrument, created_at__lt=end)
    before = runs.filter(created_at__lt=start).order_by("-created_at").values("created_at")[:1]
    since = Coalesce(Subquery(before), Value(start))
    # The newest, should there be too many of them.
    found = _with_names(runs.filter(created_at__gte=since)).order_by("-created_at", "-id")
    return list(found[:limit])[::-1]


def neighbours(run: Run) -> tuple[int | None, int | None]:
    """The numbers before and after this run's at its instrument."""
    others = Run.objects.filter(instrument=run.instrument_id)
    before = others.filter(number__lt=run.number).order_by("-number").values("number")[:1]
    after = others.filter(number__gt=run.number).order_by("number").values("number")[:1]
    found = (
        Run.objects.filter(id=run.id)
        .annotate(before=Subquery(before), after=Subquery(after))
        .values_list("before", "after")
        .get()
    )
    return found[0], found[1]


def instruments_with_run(number: int) -> list[str]:
    """The names of the instruments that have a run of this number."""
    runs = Run.objects.filter(number=number).order_by("-created_at")
    return list(runs.values_list("instrument__name", flat=True))


def newest_jobs(run_ids: Collection[int]) -> dict[tuple[int, Step], Job]:
    """The newest attempt at each step of these runs, without what only its own page shows."""
    jobs = Job.objects.filter(run__in=run_ids, step__in=_PHASE_FIELDS, cancelled_at=None)
    jobs = jobs.order_by("run", "step", "-attempt").only(*_SHOWN_IN_LISTS)
    return {(job.run_id, Step(job.step)): job for job in jobs.distinct("run", "step")}


def newest_jobs_of(run: Run) -> list[Job]:
    """The newest attempt at each step of a run that was not cancelled, with its batch."""
    jobs = Job.objects.filter(run=run, cancelled_at=None).select_related("batch")
    return list(jobs.order_by("step", "-attempt").distinct("step"))


def attempts_of(run: Run, *, limit: int, older_than: Position | None = None) -> list[FollowedJob]:
    """All attempts at the steps of a run, newest first."""
    later = Job.objects.filter(
        run=OuterRef("run"), step=OuterRef("step"), attempt__gt=OuterRef("attempt")
    )
    next_one = later.filter(cancelled_at=None).order_by("attempt").values("requested_at")[:1]
    jobs = Job.objects.filter(run=run).defer("held_body")
    if older_than is not None:
        jobs = jobs.filter(requested_at__lte=older_than.at).exclude(
            requested_at=older_than.at, id__gte=older_than.id
        )
    found = jobs.annotate(followed_at=Subquery(next_one)).order_by("-requested_at", "-id")
    return [FollowedJob(job, job.followed_at) for job in found[:limit]]


def batch_numbered(batch_id: int) -> Batch | None:
    return Batch.objects.filter(id=batch_id).first()


def failed_jobs_of_batch(batch: Batch, *, limit: int) -> list[Job]:
    """Its newest jobs that failed, each with its run and instrument."""
    jobs = Job.objects.filter(batch=batch, phase=Phase.FAILED.value)
    jobs = jobs.select_related("run__instrument").defer("held_body")
    return list(jobs.order_by("-id")[:limit])


def open_among(jobs: Collection[SentJob]) -> set[SentJob]:
    """Those of these jobs that there are, that were sent, and whose end is not known."""
    if not jobs:
        return set()
    found = Job.objects.filter(
        id__in={job.job_id for job in jobs}, phase__lt=Phase.FAILED.value, is_held=False
    )
    names_of_run = ("run__instrument__name", "run__number")
    known = found.values_list("id", "attempt", "queue", *names_of_run)
    return {SentJob(*row) for row in known} & set(jobs)


def events_of(run: Run, *, limit: int, older_than: Position | None = None) -> list[Event]:
    """What happened to a run, newest first."""
    events = _events_of(run)
    if older_than is not None:
        events = events.filter(received_at__lte=older_than.at).exclude(
            received_at=older_than.at, id__gte=older_than.id
        )
    return list(events[:limit])


def newest_queue(run: Run, queues: Collection[str]) -> str:
    """On which of these queues the run was told of last; empty if on none."""
    events = _events_of(run).filter(queue__in=queues)
    return events.values_list("queue", flat=True).first() or ""


def runs_per_hour(starts: Sequence[dt.datetime]) -> list[HourOfRuns]:
    """Runs by instrument and hour of their creation.

    `starts` are the beginnings of the hours, ascending; the last hour goes on until now.
    """
    # Numbers, not times: a thousand times take longer to read than all the rest of the page.
    place = Func(
        "created_at",
        Value(list(starts), ArrayField(DateTimeField())),
        function="width_bucket",
        output_field=IntegerField(),
    )
    hours = (
        Run.objects.filter(created_at__gte=starts[0])
        .annotate(hour=place - 1)
        .values("instrument_id", "hour")
        .annotate(runs=Count("id"), failed=Count("id", filter=_any_step(Phase.FAILED)))
        .values_list("instrument_id", "hour", "runs", "failed")
    )
    return [HourOfRuns(*hour) for hour in hours]


def health() -> Health:
    """How the workflow manager is doing, as far as its tables tell."""
    with connection.cursor() as cursor:
        cursor.execute(HEALTH["what_is_stuck"], {"open": RejectedMessage.Outcome.OPEN.value})
        ((outgoing, oldest_outgoing_at, rejected),) = cursor.fetchall()
    return Health(_last_event_at(), outgoing, oldest_outgoing_at, rejected)


def running_jobs() -> list[RunningJob]:
    """What agents have begun, oldest first; not what was moved in and nobody awaits."""
    jobs = Job.objects.filter(phase=Phase.STARTED.value, lease_until__isnull=False)
    names_of_run = ("run__instrument__name", "run__number")
    found = jobs.order_by("started_at", "id")[:MOST_RUNNING]
    return [
        RunningJob(*row) for row in found.values_list("agent", *names_of_run, "step", "started_at")
    ]


def open_discrepancies_by_instrument() -> list[Discrepancies]:
    """Instruments with discrepancies that are not settled, by name."""
    found = Discrepancy.objects.filter(settled_at=None).values("instrument__name")
    counted = found.annotate(count=Count("id"), newest=Max("found_at")).order_by("instrument__name")
    return [
        Discrepancies(*row) for row in counted.values_list("instrument__name", "count", "newest")
    ]


def rejected_messages(
    *,
    limit: int,
    older_than: Position | None = None,
    outcome: str | None = RejectedMessage.Outcome.OPEN,
    destination: str = "",
) -> list[RejectedMessage]:
    """Messages that could not be handled, newest first.

    Those of one outcome, or of all with None; and of one destination, in any spelling.
    """
    messages = RejectedMessage.objects.order_by("-received_at", "-id")
    if outcome is not None:
        messages = messages.filter(outcome=outcome)
    if destination:
        messages = messages.filter(destination__in=names.spellings(destination))
    if older_than is not None:
        messages = messages.filter(received_at__lte=older_than.at).exclude(
            received_at=older_than.at, id__gte=older_than.id
        )
    return list(messages[:limit])


def rejected_message(message_id: int) -> RejectedMessage | None:
    return RejectedMessage.objects.filter(id=message_id).first()


def _events_of(run: Run) -> "QuerySet[Event]":
    """A run's events, newest first, from the months that they can be in: see `models.Event`."""
    between = (run.created_at - _AROUND_A_RUN, run.updated_at + _AROUND_A_RUN)
    events = Event.objects.filter(run=run, received_at__range=between)
    return events.order_by("-received_at", "-id")


def _last_event_at() -> dt.datetime | None:
    """When the newest event came: of the last months if there is one, else of all months."""
    newest = Event.objects.order_by("-received_at").values_list("received_at", flat=True)
    recent = newest.filter(received_at__gte=timezone.now() - _RECENT)
    return recent.first() or newest.first()


def _with_names(runs: "QuerySet[Run]") -> "QuerySet[Run]":
    """With instrument and proposal, but for when these were first heard of."""
    named = runs.select_related("instrument", "proposal")
    return named.defer("instrument__created_at", "proposal__created_at", "updated_at", "data_file")


def _newest_run(**condition: int) -> Subquery:
    runs = Run.objects.filter(instrument=OuterRef("id"), **condition)
    return Subquery(runs.order_by("-created_at", "-id").values("id")[:1])


def _matching(wanted: RunFilter) -> "QuerySet[Run]":
    runs = Run.objects.all()
    if wanted.instrument:
        named = Instrument.objects.filter(name=wanted.instrument.lower())
        runs = runs.filter(instrument=_the_one(named))
    if wanted.proposal:
        named_proposal = Proposal.objects.filter(name=wanted.proposal.upper())
        runs = runs.filter(proposal=_the_one(named_proposal))
    if wanted.state is not None:
        runs = runs.filter(_STATES[wanted.state])
    return runs


def _the_one(named: "QuerySet[Instrument] | QuerySet[Proposal]") -> Subquery:
    """As a value and not as a join, so that the index on runs gives the order too."""
    return Subquery(named.values("id")[:1])


def _any_step(phase: Phase) -> Q:
    found = Q()
    for field in _PHASE_FIELDS:
        found |= Q(**{field: phase.value})
    return found


def _untouched() -> Q:
    return Q(data_ready_at=None, **dict.fromkeys(_PHASE_FIELDS, Phase.WAITING.value))


def _complete() -> Q:
    well = (Phase.SKIPPED.value, Phase.DONE.value)
    results = Q(reduction=Phase.DONE.value, reduction_cataloguing__in=well)
    return Q(cataloguing__in=well) & (results | Q(reduction=Phase.SKIPPED.value))


def _states() -> Mapping[RunState, Q]:
    """`domain.states.run_state` in SQL; a test holds the two together."""
    failed, started, complete = _any_step(Phase.FAILED), _any_step(Phase.STARTED), _complete()
    under_way = ~_untouched() & ~failed & ~complete
    return {
        RunState.ACQUIRING: _untouched(),
        RunState.FAILED: failed,
        RunState.DONE: complete & ~failed & Q(reduction=Phase.DONE.value),
        RunState.SKIPPED: complete & ~failed & Q(reduction=Phase.SKIPPED.value),
        RunState.RUNNING: under_way & started,
        RunState.WAITING: under_way & ~started,
    }


_STATES = _states()
