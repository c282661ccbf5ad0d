"""One frozen value for each page about runs, and its builder.

The same value becomes HTML and JSON, so the two cannot disagree.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from dasmon_listener import alarm_lists
from dasmon_listener.alarm_lists import Needing, RollUp
from dasmon_listener.overview import Overview, overview
from webmon.runs.verdict import (
    RunFacts,
    StepFacts,
    Verdict,
    Wait,
    WhyNotReduced,
    first_line,
    verdict,
    without_step,
)
from webmon.runs.waits import waits
from webmon.runs.waterfall import Waterfall, waterfall
from webmon.runs.wishes import Wish
from webmon.runs.words import event_words
from workflow_manager import selectors
from workflow_manager.domain import destinations
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Event, Job, Run
from workflow_manager.selectors import HourOfRuns, InstrumentNow, Position, RunFilter

ROWS = 50
EVENTS = 500
ATTEMPTS = 20
HOURS = 24
LARGEST_NUMBER = 2**31 - 1
# Processes of the whole facility report under this name as if it were an instrument's.
COMMON = "common"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line in a list of runs. `reduced_in` is None until a reduction has ended."""

    id: int
    instrument: str
    number: int
    proposal: str
    state: RunState
    steps: tuple[StepFacts, ...]
    created_at: dt.datetime
    reduced_in: dt.timedelta | None
    problem: str


@dataclass(frozen=True, slots=True)
class RunList:
    """Runs newest first; `older` is the `before` of the next part, empty at the end."""

    filter: RunFilter
    rows: tuple[RunRow, ...]
    is_first_part: bool
    older: str
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour in the little chart of a tile."""

    hour: dt.datetime
    runs: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tile:
    """An instrument now. `run` is None before its first run.

    `reported` is what its data acquisition says, None where it never said anything; `alarms`
    counts its open alarms, None without any.
    """

    instrument: str
    facility: str
    run: RunRow | None
    last_reduction: RunRow | None
    expected_every: dt.timedelta | None
    runs_today: int
    failed_today: int
    bars: tuple[Bar, ...]
    reported: Overview | None
    alarms: RollUp | None


@dataclass(frozen=True, slots=True)
class NowPart:
    """What changes all the time: the tiles, and how the system itself is doing.

    `needing` is for the top bar, which would ask for it otherwise.
    """

    tiles: tuple[Tile, ...]
    health: selectors.Health
    needing: Needing
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class HomePage:
    """`instruments` are all names, for the filter."""

    now: NowPart
    runs: RunList
    instruments: tuple[str, ...]
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class RunListPage:
    """All runs, or those of one instrument."""

    instrument: str
    runs: RunList
    instruments: tuple[str, ...]
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """What happened, in plain words; `body` is the message as it arrived."""

    id: int
    at: dt.datetime
    words: str
    queue: str
    information: str
    error: str
    body: Any


@dataclass(frozen=True, slots=True)
class RunPage:
    """One run; `older` is the `before` of the next part of its events, empty at the end."""

    instrument: str
    number: int
    proposal: str
    state: RunState
    verdict: Verdict
    created_at: dt.datetime
    data_ready_at: dt.datetime | None
    data_file: str
    steps: tuple[StepFacts, ...]
    errors: tuple[StepFacts, ...]
    waterfall: Waterfall
    may_request: bool
    events: tuple[EventRow, ...]
    is_first_part: bool
    older: str
    previous: int | None
    next: int | None
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class AttemptsPart:
    """What changes on a run page while something is under way, without the rest."""

    instrument: str
    number: int
    waterfall: Waterfall


@dataclass(frozen=True, slots=True)
class RequestPage:
    """The question before a step of a run is asked for again; `problem` says why it was not."""

    instrument: str
    number: int
    wish: Wish
    verdict: Verdict
    state: RunState
    under_way: tuple[str, ...]
    reason: str
    problem: str


def home_page(wanted: RunFilter, older_than: Position | None, now: dt.datetime) -> HomePage:
    """The whole facility; `wanted` restricts the list of runs, not the tiles."""
    runs = _listed(wanted, older_than)
    found = selectors.instruments_now(known=runs)
    jobs = selectors.newest_jobs({run.id for run in (*runs, *_shown_on_tiles(found))})
    present = _now(found, jobs, now)
    names = tuple(each.instrument.name for each in found)
    return HomePage(present, _run_list(wanted, older_than, runs, jobs, now), names, now)


def now_part(now: dt.datetime) -> NowPart:
    """A tile for each instrument by name, and the system's own health."""
    found = selectors.instruments_now()
    jobs = selectors.newest_jobs({run.id for run in _shown_on_tiles(found)})
    return _now(found, jobs, now)


def run_list_page(wanted: RunFilter, older_than: Position | None, now: dt.datetime) -> RunListPage:
    names = tuple(instrument.name for instrument in selectors.instruments())
    return RunListPage(wanted.instrument, run_list(wanted, older_than, now), names, now)


def run_list(wanted: RunFilter, older_than: Position | None, now: dt.datetime) -> RunList:
    """One part of the runs."""
    runs = _listed(wanted, older_than)
    jobs = selectors.newest_jobs([run.id for run in runs])
    return _run_list(wanted, older_than, runs, jobs, now)


def _listed(wanted: RunFilter, older_than: Position | None) -> list[Run]:
    """One more run is read than is shown, to know whether there is a next part."""
    return selectors.latest_runs(wanted, limit=ROWS + 1, older_than=older_than)


def _run_list(
    wanted: RunFilter,
    older_than: Position | None,
    runs: Sequence[Run],
    jobs: Mapping[tuple[int, Step], Job],
    now: dt.datetime,
) -> RunList:
    shown = runs[:ROWS]
    older = place(shown[-1]) if len(runs) > ROWS else ""
    rows = tuple(_row(run, jobs) for run in shown)
    return RunList(wanted, rows, older_than is None, older, now)


def _shown_on_tiles(found: Sequence[InstrumentNow]) -> list[Run]:
    return [run for each in found for run in (each.newest, each.newest_reduced) if run]


def _now(
    found: Sequence[InstrumentNow], jobs: Mapping[tuple[int, Step], Job], now: dt.datetime
) -> NowPart:
    signs = _Signs(overview(), alarm_lists.roll_up())
    tiles = _tiles(found, jobs, signs, now)
    return NowPart(tiles, selectors.health(), _needing(signs.alarms.values()), now)


def _needing(rolled_up: Collection[RollUp]) -> Needing:
    """The level is that of the worst instrument where somebody is needed."""
    highest = max((each.highest for each in rolled_up if each.unacknowledged), default=None)
    return Needing(sum(each.unacknowledged for each in rolled_up), highest)


def _tiles(
    found: Sequence[InstrumentNow],
    jobs: Mapping[tuple[int, Step], Job],
    signs: "_Signs",
    now: dt.datetime,
) -> tuple[Tile, ...]:
    day = _Day(now)
    hours: dict[int, list[HourOfRuns]] = {}
    for hour in selectors.runs_per_hour(day.starts):
        hours.setdefault(hour.instrument_id, []).append(hour)
    return tuple(
        _tile(each, jobs, hours.get(each.instrument.id, []), day, signs)
        for each in found
        if signs.is_shown(each)
    )


def run_page(
    run: Run,
    older_than: Position | None,
    now: dt.datetime,
    *,
    attempts_before: Position | None = None,
    may_request: bool = False,
) -> RunPage:
    """One more event is read to know whether there is a next part."""
    events = selectors.events_of(run, limit=EVENTS + 1, older_than=older_than)
    shown = events[:EVENTS]
    facts = _whole_facts(run)
    before, after = selectors.neighbours(run)
    steps = tuple(facts.steps[step] for step in Step)
    return RunPage(
        instrument=run.instrument.name,
        number=run.number,
        proposal=run.proposal.name,
        state=facts.state,
        verdict=verdict(facts),
        created_at=run.created_at,
        data_ready_at=run.data_ready_at,
        data_file=run.data_file,
        steps=steps,
        errors=tuple(step for step in steps if step.phase is Phase.FAILED and step.error),
        waterfall=run_waterfall(run, attempts_before, now),
        may_request=may_request,
        events=tuple(_event_row(event) for event in shown),
        is_first_part=older_than is None,
        older=_event_place(shown[-1]) if len(events) > EVENTS else "",
        previous=before,
        next=after,
        read_at=now,
    )


def attempts_part(run: Run, older_than: Position | None, now: dt.datetime) -> AttemptsPart:
    return AttemptsPart(run.instrument.name, run.number, run_waterfall(run, older_than, now))


def request_page(run: Run, wish: Wish, *, reason: str = "", problem: str = "") -> RequestPage:
    """What the person should know before asking: how the run is, and what is under way already."""
    facts = _whole_facts(run)
    wanted = set(Step) if wish.step is None else {wish.step}
    under_way = (
        each.step.label
        for each in facts.steps.values()
        if each.step in wanted and each.phase in {Phase.REQUESTED, Phase.STARTED}
    )
    return RequestPage(
        instrument=run.instrument.name,
        number=run.number,
        wish=wish,
        verdict=verdict(facts),
        state=facts.state,
        under_way=tuple(under_way),
        reason=reason,
        problem=problem,
    )


def run_waterfall(run: Run, older_than: Position | None, now: dt.datetime) -> Waterfall:
    """One part of a run's attempts."""
    found = selectors.attempts_of(run, limit=ATTEMPTS + 1, older_than=older_than)
    last = found[ATTEMPTS - 1].job if len(found) > ATTEMPTS else None
    older = f"{last.requested_at.isoformat()}~{last.id}" if last else ""
    is_first = older_than is None
    return waterfall(found[:ATTEMPTS], now, is_first_part=is_first, older=older)


def _whole_facts(run: Run) -> RunFacts:
    """Facts with the reasons for what waits and for what was left out."""
    jobs = selectors.newest_jobs_of(run)
    newest = {(run.id, Step(job.step)): job for job in jobs if job.step in set(Step)}
    why_not = _why_not_reduced(run, newest.get((run.id, Step.REDUCTION)))
    return run_facts(run, newest, why_not, waits(run.instrument, newest.values()))


def run_facts(
    run: Run,
    jobs: Mapping[tuple[int, Step], Job],
    why_not_reduced: WhyNotReduced = WhyNotReduced.UNKNOWN,
    waits_of: Mapping[str, Wait] = MappingProxyType({}),
) -> RunFacts:
    """What a verdict needs; `jobs` are the newest attempts by run and step."""
    return RunFacts(
        instrument=run.instrument.name,
        created_at=run.created_at,
        data_ready_at=run.data_ready_at,
        steps={
            step: _step_facts(run, step, jobs.get((run.id, step)), waits_of.get(step))
            for step in Step
        },
        why_not_reduced=why_not_reduced,
    )


def place(run: Run) -> str:
    """Where a run stands in the list, as it is written in addresses."""
    return f"{run.created_at.isoformat()}~{run.id}"


def position(text: str) -> Position | None:
    """The place that an address names; None if it names none.

    Raises:
        ValueError: if the text is not a place.
    """
    if not text:
        return None
    at, _, row = text.partition("~")
    moment = dt.datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("a place in a list needs a time with a zone")
    return Position(moment, int(row))


def expected_interval(runs: int, span: dt.timedelta) -> dt.timedelta | None:
    """How often runs come, from their number in a span of time; None if too few to tell."""
    return span / runs if runs >= 3 else None


def _step_facts(run: Run, step: Step, job: Job | None, wait: Wait | None) -> StepFacts:
    phase = run.phase(step)
    if job is None:
        return StepFacts(step, phase)
    return StepFacts(
        step=step,
        phase=phase,
        attempt=job.attempt,
        agent=job.agent,
        requested_at=job.requested_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        error=job.error,
        reason=job.reason,
        wait=wait,
    )


def _why_not_reduced(run: Run, reduction: Job | None) -> WhyNotReduced:
    """A route that left it out, or what the newest message says that ended it without one."""
    if run.phase(Step.REDUCTION) is not Phase.SKIPPED:
        return WhyNotReduced.UNKNOWN
    if reduction is not None and _was_left_out(reduction):
        return WhyNotReduced.ROUTE
    queue = selectors.newest_queue(run, _SKIPPED_BY)
    return _SKIPPED_BY.get(queue, WhyNotReduced.UNKNOWN)


def _was_left_out(job: Job) -> bool:
    """A step that a route leaves out ends in the moment in which it would have been asked for."""
    return bool(job.reason) and job.sent_at is None and job.ended_at == job.requested_at


_SKIPPED_BY = {
    destinations.REDUCTION_DISABLED: WhyNotReduced.NO_SCRIPT,
    destinations.REDUCTION_NOT_NEEDED: WhyNotReduced.NOT_NEEDED,
}


def _row(run: Run, jobs: Mapping[tuple[int, Step], Job]) -> RunRow:
    facts = run_facts(run, jobs)
    steps = tuple(facts.steps[step] for step in Step)
    failed = (step for step in steps if step.phase is Phase.FAILED)
    return RunRow(
        id=run.id,
        instrument=run.instrument.name,
        number=run.number,
        proposal=run.proposal.name,
        state=facts.state,
        steps=steps,
        created_at=run.created_at,
        reduced_in=facts.steps[Step.REDUCTION].ran,
        problem=next((first_line(without_step(step.error)) for step in failed), ""),
    )


class _Day:
    """The last hours of the facility's clock, the present one last, and which are of today."""

    def __init__(self, now: dt.datetime) -> None:
        zone = ZoneInfo(settings.TIME_ZONE)
        local = now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
        present = local.astimezone(dt.UTC)
        self.starts = [present - dt.timedelta(hours=ago) for ago in reversed(range(HOURS + 1))]
        today = [start.astimezone(zone).date() == local.date() for start in self.starts]
        self.today_from = today.index(True)


@dataclass(frozen=True, slots=True)
class _Signs:
    """What data acquisition and alarms say of all instruments, by their id."""

    reported: Mapping[int, Overview]
    alarms: Mapping[int, RollUp]

    def is_shown(self, each: InstrumentNow) -> bool:
        """Not one that is switched off, nor the name under which agents report."""
        known = self.reported.get(each.instrument.id)
        if known is not None and not known.is_alive:
            return False
        return each.newest is not None or each.instrument.name != COMMON

    def reported_of(self, each: InstrumentNow) -> Overview | None:
        known = self.reported.get(each.instrument.id)
        return known if known is not None and known.is_heard else None


def _tile(
    each: InstrumentNow,
    jobs: Mapping[tuple[int, Step], Job],
    hours: Sequence[HourOfRuns],
    day: _Day,
    signs: _Signs,
) -> Tile:
    today = [hour for hour in hours if hour.hour >= day.today_from]
    bars = _bars(hours, day)
    return Tile(
        instrument=each.instrument.name,
        facility=each.instrument.facility,
        run=_row(each.newest, jobs) if each.newest else None,
        last_reduction=_row(each.newest_reduced, jobs) if each.newest_reduced else None,
        expected_every=expected_interval(sum(bar.runs for bar in bars), dt.timedelta(hours=HOURS)),
        runs_today=sum(hour.runs for hour in today),
        failed_today=sum(hour.failed for hour in today),
        bars=bars,
        reported=signs.reported_of(each),
        alarms=signs.alarms.get(each.instrument.id),
    )


def _bars(hours: Sequence[HourOfRuns], day: _Day) -> tuple[Bar, ...]:
    """The last hours; those without runs have a bar of zero. A day may have 25, a chart has 24."""
    runs, failed = [0] * len(day.starts), [0] * len(day.starts)
    for hour in hours:
        runs[hour.hour], failed[hour.hour] = hour.runs, hour.failed
    return tuple(map(Bar, day.starts[1:], runs[1:], failed[1:]))


def _event_place(event: Event) -> str:
    return f"{event.received_at.isoformat()}~{event.id}"


def _event_row(event: Event) -> EventRow:
    return EventRow(
        id=event.id,
        at=event.received_at,
        words=event_words(event.queue),
        queue=event.queue,
        information=event.information,
        error=event.error,
        body=event.body,
    )
