"""What the pages of the replaced system asked for, in its own forms, for programs that read them.

Times for people are in the facility's zone; values are texts.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as formatted

from dasmon_listener import overview, selectors
from dasmon_listener.domain.series import Kind
from dasmon_listener.overview import Equipped, Overview, Sample, Sign
from dasmon_listener.selectors import LatestValue
from webmon.runs.markup import run_address
from webmon.status.pages import state_of
from workflow_manager import selectors as workflow
from workflow_manager.domain.states import RunState, run_state
from workflow_manager.domain.steps import Step
from workflow_manager.models import Run
from workflow_manager.selectors import HourOfRuns, RunFilter

HEARTBEAT_TIMEOUT = dt.timedelta(seconds=15)
DEAD = dt.timedelta(hours=1)
HOURS = 24
LONGEST = 31 * 86400.0
MOST_ROWS = 1000
Parameters = Mapping[str, str]

NOT_THERE, GOOD, LATE, BAD = -1, 0, 1, 2


def facility(now: dt.datetime, *, has_rates: bool = False) -> dict[str, Any]:
    """All instruments that are shown, by name."""
    shown = {id_: each for id_, each in overview.overview().items() if each.is_alive}
    found: dict[str, Any] = {
        "instruments": [_instrument(each) for each in shown.values()],
        "postprocess_status": {"catalog": GOOD, "reduction": GOOD, "workflow": _workflow(now)},
    }
    if has_rates:
        rates = _rates(now)
        found["instrument_rates"] = {
            each.instrument: _rate(rates.get(id_, ())) for id_, each in shown.items()
        }
    return found


def instrument(equipped: Equipped, asked: Parameters, now: dt.datetime) -> dict[str, Any]:
    """One instrument: its values, its rates, and its runs as rows of a table."""
    rates = _rate(_rates(now).get(equipped.instrument.pk, ()))
    values = selectors.latest_values(equipped.instrument, Kind.STATUS_VALUE)
    return {
        **rates,
        **_last_run(equipped),
        "variables": [*map(_variable, values), _recording(equipped, values)],
        "das_status": _das_status(equipped, now),
        "live_plot_data": _plot_data(equipped, asked, now),
        **_run_rows(equipped, asked),
    }


def time_words(at: dt.datetime) -> str:
    """As in `Nov 20, 2026, 5:19 AM`."""
    return formatted(timezone.localtime(at), "M j, Y, g:i A")


def component_state(sign: Sign | None, now: dt.datetime) -> int:
    """0 good, 1 late, 2 dead or ill."""
    if sign is None or not _is_good(sign.status):
        return BAD
    age = now - sign.heard_at
    if age > DEAD:
        return BAD
    return LATE if age > HEARTBEAT_TIMEOUT else GOOD


def _is_good(status: str) -> bool:
    try:
        return int(status) <= 0
    except ValueError:
        return False


def _instrument(each: Overview) -> dict[str, Any]:
    status = reverse("status", args=[each.instrument])
    return {
        "name": each.instrument,
        "recording_status": each.recording,
        "url": status if each.is_adara else f"{status}runs/",
        "diagnostics_url": f"{status}diagnostics/",
        "dasmon_status": NOT_THERE,
        "pvstreamer_status": NOT_THERE,
        "facility": each.facility,
    }


def _workflow(now: dt.datetime) -> int:
    common = overview.equipped_instrument("common")
    return component_state(_sign(common, "workflowmgr"), now)


def _das_status(equipped: Equipped, now: dt.datetime) -> dict[str, int]:
    writers = [("pvsd", equipped.has_pvsd), ("pvstreamer", equipped.has_pvstreamer)]
    states = [component_state(_sign(equipped, name), now) for name, is_there in writers if is_there]
    dasmon = component_state(_sign(equipped, "dasmon"), now)
    return {
        "catalog": GOOD,
        "reduction": GOOD,
        "workflow": _workflow(now),
        "dasmon": dasmon if equipped.is_adara else NOT_THERE,
        "pvstreamer": max(states, default=NOT_THERE),
    }


def _sign(equipped: Equipped | None, name: str) -> Sign | None:
    signs = equipped.signs if equipped else ()
    return next((sign for sign in signs if sign.name == name), None)


def _rates(now: dt.datetime) -> dict[int, list[HourOfRuns]]:
    starts = [now - dt.timedelta(hours=ago) for ago in reversed(range(1, HOURS + 1))]
    found: dict[int, list[HourOfRuns]] = {}
    for hour in workflow.runs_per_hour(starts):
        found.setdefault(hour.instrument_id, []).append(hour)
    return found


def _rate(hours: Iterable[HourOfRuns]) -> dict[str, list[list[int]]]:
    """Lists of hours back from now and counts."""
    runs, failed = [0] * HOURS, [0] * HOURS
    for hour in hours:
        ago = HOURS - 1 - hour.hour
        runs[ago], failed[ago] = hour.runs, hour.failed
    return {
        "run_rate": [[-ago, count] for ago, count in enumerate(runs)],
        "error_rate": [[-ago, count] for ago, count in enumerate(failed)],
    }


def _last_run(equipped: Equipped) -> dict[str, Any]:
    wanted = RunFilter(instrument=equipped.instrument.name)
    for run in workflow.latest_runs(wanted, limit=1):
        return {
            "last_run_id": run.pk,
            "last_run": run.number,
            "last_run_time": time_words(run.created_at),
            "last_expt_id": run.proposal_id,
            "last_expt": run.proposal.name,
        }
    return {}


def _variable(each: LatestValue) -> dict[str, str]:
    shown = each.shown if each.value is None else f"{each.value:g}"
    return {"key": each.name, "value": shown, "timestamp": time_words(each.at)}


def _recording(equipped: Equipped, values: Sequence[LatestValue]) -> dict[str, str]:
    named = {each.name: each for each in values}
    told = named.get("recording")
    return {
        "key": "recording_status",
        "value": state_of(equipped, named),
        "timestamp": time_words(told.at) if told else "",
    }


def _plot_data(equipped: Equipped, asked: Parameters, now: dt.datetime) -> list[list[Any]]:
    names = [name.strip() for name in asked.get("vars", "").replace("\0", "").split(",")]
    wanted = [name for name in names if name]
    if not wanted:
        return []
    since = now - dt.timedelta(seconds=_seconds(asked.get("time", "")))
    found = overview.newest_samples(equipped.instrument, wanted, since)
    plots = ((name, _points(found.get(name, []), now)) for name in wanted)
    return [[name, points] for name, points in plots if points]


def _seconds(text: str) -> float:
    """The length of the plot: two hours if none that can be is told."""
    try:
        seconds = float(text)
    except ValueError:
        return 7200.0
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else 7200.0


def _points(samples: Sequence[Sample], now: dt.datetime) -> list[list[float]]:
    """Minutes before now and values; none at all if one is no number."""
    points = []
    for sample in samples:
        if sample.value is None or not math.isfinite(sample.value):
            return []
        points.append([(sample.at - now).total_seconds() / 60, sample.value])
    return points


def _run_rows(equipped: Equipped, asked: Parameters) -> dict[str, Any]:
    """The newest runs; what is beyond them is on the page of runs."""
    length = _whole(asked.get("length", ""), 10)
    start = max(_whole(asked.get("start", ""), 0), 0)
    limit = MOST_ROWS if length < 0 else min(start + length, MOST_ROWS)
    found = workflow.latest_runs(RunFilter(instrument=equipped.instrument.name), limit=limit)
    total = Run.objects.filter(instrument=equipped.instrument).count()
    return {
        "data": [_run_row(run) for run in found[start:]],
        "recordsTotal": total,
        "recordsFiltered": total,
        "draw": _whole(asked.get("draw", ""), 0),
    }


def _whole(text: str, otherwise: int) -> int:
    try:
        return max(int(text), -1)
    except ValueError:
        return otherwise


def _run_row(run: Run) -> dict[str, Any]:
    name, address = (
        escape(run.instrument.name),
        escape(run_address(run.instrument.name, run.number)),
    )
    phases = {step: run.phase(step) for step in Step}
    state = _STATES[run_state(phases, has_data=run.data_ready_at is not None)]
    return {
        "instrument_id": f"<a href='/dasmon/{name}/runs/'>{name}</a>",
        "run": f"<a href='{address}'>{run.number}</a>",
        "reduce_url": f"<a id='reduce_{run.number}' href='{address}reduce/'>reduce</a>",
        "run_id": run.pk,
        "timestamp": time_words(run.created_at),
        "status": f"<span id='run_id_{run.pk}'{state}</span>",
    }


_INCOMPLETE, _COMPLETE = " class='red'>incomplete", " class='green'>complete"
_STATES = {
    RunState.ACQUIRING: ">acquiring",
    RunState.WAITING: _INCOMPLETE,
    RunState.RUNNING: _INCOMPLETE,
    RunState.DONE: _COMPLETE,
    RunState.SKIPPED: _COMPLETE,
    RunState.FAILED: " class='red'><b>error</b>",
}
