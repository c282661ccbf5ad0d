"""Tiles and rows as HTML: what a page shows a hundred times.

Django's templates need most of a millisecond for each, so these few are format strings. Every
value that is not made here goes through `escape`.
"""

import datetime as dt
from collections.abc import Iterable
from functools import cache
from html import escape
from urllib.parse import quote

from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from dasmon_listener.alarm_lists import RollUp
from dasmon_listener.domain.recording import Recording
from dasmon_listener.overview import VALUES_EVERY, Overview
from webmon.runs.pages import RunRow, Tile
from webmon.runs.waterfall import Attempt, Bar, Part, Stretch
from webmon.ui import numbers
from webmon.ui.templatetags.shown import age, duration, sparkline, state, strip
from workflow_manager.domain.steps import Phase, Step

# The length of the waterfall's axis, and of the shortest bar that can be seen on it.
AXIS = 1000
SHORTEST = 6

_ROW = (
    '<tr id="run-{id}" data-state="{state}"><th scope="row"><a id="run-link-{id}" href="{address}">'
    '<span class="inst">{instrument}</span> <span class="number">{number}</span></a></th>'
    "<td>{badge}</td><td>{steps}{problem}</td>"
    '<td class="num wide">{reduced_in}</td><td class="wide">{proposal}</td>'
    '<td class="num">{age}</td></tr>\n'
)
_PROBLEM = '<span class="row-problem" title="{0}">{0}</span>'
_TILE = (
    '<li class="tile card" id="tile-{name}" data-state="{state}"><div class="tile-head">'
    '<h2><a id="tile-link-{name}" href="{address}">{title}</a> <small>{facility}</small></h2>'
    '<span class="badges">{alarms}{badge}</span></div>{reported}{run}'
    '<p class="tile-last">{last}</p>'
    '<div class="tile-foot"><span><a id="tile-runs-{name}" href="{runs}"><strong>{today}</strong> '
    "today</a>{failed}</span>{bars}</div></li>\n"
)
_TILE_RUN = (
    '<p class="tile-run"><a id="tile-run-{name}" class="number" href="{address}">{number}</a>'
    ' <span class="since">{age} ago</span> <span class="proposal">{proposal}</span></p>'
)
_REPORTED = (
    '<p class="tile-now"><span class="recording" data-recording="{word}"><svg viewBox="0 0 16 16" '
    'aria-hidden="true"><use href="{shapes}#{shape}"></use></svg>{word}</span>'
    '{run}<span class="rate">{rate}</span></p>'
)
_RATE = '{} /s <small class="since">{}</small>'
_ALARMS = (
    '<a id="tile-alarms-{name}" class="tile-alarms" href="/alarms/?instrument={query}" '
    'title="{words}"><svg viewBox="0 0 16 16" aria-hidden="true"><use href="{shapes}#failed"></use>'
    '</svg>{count}<span class="hidden"> {words}</span></a>'
)
_LAST = '<a id="last-{name}" href="{address}">{number}</a> {words}'
_FAILED_TODAY = ', <strong class="bad">{}</strong> failed'


def row_list(rows: Iterable[RunRow], now: dt.datetime) -> SafeString:
    """The table rows of these runs."""
    return mark_safe("".join(_row(row, now) for row in rows))  # noqa: S308 (escaped below)


def tile_list(tiles: Iterable[Tile], now: dt.datetime) -> SafeString:
    """The list items of these instruments."""
    return mark_safe("".join(_tile(tile, now) for tile in tiles))  # noqa: S308 (escaped below)


def attempt_bars(attempt: Attempt, stretch: Stretch) -> SafeString:
    """An attempt on the axis of its stretch, 1000 units long; the columns beside say it in words.

    Waiting is a thin line and running a bar, so that they differ without colours too.
    """
    drawn = "".join(_bar(bar, stretch) for bar in attempt.bars)
    return mark_safe(  # noqa: S308 (made of numbers)
        f'<svg class="bars" viewBox="0 0 {AXIS} 16" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def _bar(bar: Bar, stretch: Stretch) -> str:
    scale = AXIS / max(stretch.lasts.total_seconds(), 0.001)
    left = scale * (bar.begins_at - stretch.begins_at).total_seconds()
    width = scale * (bar.ends_at - bar.begins_at).total_seconds()
    if bar.part is not Part.RUNNING:
        return f'<path class="{_LINES[bar.part]}" d="M{left:.4g} 8h{width:.4g}"/>'
    width = max(width, SHORTEST)
    left = min(left, AXIS - width)
    return f'<rect class="ran" x="{left:.4g}" y="1" width="{width:.4g}" height="14"/>'


_LINES = {Part.HERE: "here", Part.FOR_AGENT: "for-agent"}


def run_address(instrument: str, number: int) -> str:
    return f"{_runs_address(instrument)}{number}/"


# Asking Django for an address costs ten times what it costs to write the number behind it.
@cache
def _status_address(instrument: str) -> str:
    return reverse("status", args=[instrument])


@cache
def _runs_address(instrument: str) -> str:
    return reverse("runs", args=[instrument])


def _row(row: RunRow, now: dt.datetime) -> str:
    return _ROW.format(
        id=row.id,
        state=row.state,
        address=escape(run_address(row.instrument, row.number)),
        instrument=escape(row.instrument.upper()),
        number=row.number,
        badge=state(row.state),
        steps=strip(row.steps),
        problem=_PROBLEM.format(escape(row.problem)) if row.problem else "",
        reduced_in=duration(row.reduced_in),
        proposal=escape(row.proposal),
        age=age(row.created_at, now=now),
    )


def _tile(tile: Tile, now: dt.datetime) -> str:
    named = tile.run.state if tile.run else "idle"
    return _TILE.format(
        name=escape(tile.instrument),
        state=named,
        address=escape(_status_address(tile.instrument)),
        runs=escape(_runs_address(tile.instrument)),
        title=escape(tile.instrument.upper()),
        facility=escape(tile.facility),
        badge=state(named),
        reported=_reported(tile.reported, tile.run, now) if tile.reported else "",
        alarms=_alarms(tile.instrument, tile.alarms) if tile.alarms else "",
        run=_tile_run(tile, tile.run, now) if tile.run else "",
        last=_last_reduction(tile.last_reduction),
        today=tile.runs_today,
        failed=_FAILED_TODAY.format(tile.failed_today) if tile.failed_today else "",
        bars=sparkline(tile.bars),
    )


def _reported(reported: Overview, run: RunRow | None, now: dt.datetime) -> str:
    """What data acquisition says: does it record, at what rate, which run if not the newest."""
    rate = ""
    if reported.count_rate is not None:
        old = age(reported.count_rate_at, VALUES_EVERY, now=now)
        rate = _RATE.format(numbers.words(reported.count_rate, digits=4), old)
    is_other = reported.run_number and (run is None or reported.run_number != str(run.number))
    return _REPORTED.format(
        word=reported.recording,
        shape=_RECORDING_SHAPES[reported.recording],
        shapes=static("ui/shapes.svg"),
        run=f'<span class="break">{escape(reported.run_number)}</span>' if is_other else "",
        rate=rate,
    )


_RECORDING_SHAPES = {
    Recording.RECORDING: "recording",
    Recording.PAUSED: "paused",
    Recording.STOPPED: "stopped",
    Recording.UNKNOWN: "unknown",
}


def _alarms(instrument: str, alarms: RollUp) -> str:
    noun = "alarm is" if alarms.count == 1 else "alarms are"
    return _ALARMS.format(
        name=escape(instrument),
        query=quote(instrument),
        count=alarms.count,
        words=f"{noun} open, the worst: {alarms.highest.word}",
        shapes=static("ui/shapes.svg"),
    )


def _tile_run(tile: Tile, run: RunRow, now: dt.datetime) -> str:
    return _TILE_RUN.format(
        name=escape(tile.instrument),
        address=escape(run_address(run.instrument, run.number)),
        number=run.number,
        age=age(run.created_at, tile.expected_every, now=now),
        proposal=escape(run.proposal),
    )


def _last_reduction(last: RunRow | None) -> str:
    if last is None:
        return '<span class="muted">Nothing reduced yet</span>'
    return _LAST.format(
        name=escape(last.instrument),
        address=escape(run_address(last.instrument, last.number)),
        number=last.number,
        words=_reduction_words(last),
    )


def _reduction_words(last: RunRow) -> str:
    reduction = next(step for step in last.steps if step.step is Step.REDUCTION)
    if reduction.phase is Phase.DONE:
        return "reduced" + (f" in {duration(reduction.ran)}" if reduction.ran is not None else "")
    if reduction.phase is not Phase.FAILED:
        return '<span class="muted">not reduced</span>'
    problem = escape(last.problem)
    return '<strong class="bad">failed</strong>' + (
        f': <span title="{problem}">{problem}</span>' if problem else ""
    )
