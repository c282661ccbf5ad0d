"""What the PV page of the replaced system asked for, in its own form, for programs that read it."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Latest
from dasmon_listener.overview import Equipped
from dasmon_listener.value_lists import Point, listed_values, newest_points
from webmon.status import replaced as status

LONGEST = 31 * 86_400.0
USUAL = 7200.0
MOST_PVS = 50_000
MOST_NAMES = 64

# The runs of that form are on a page of their own here, and the processes that write PVs too.
_NOT_HERE = ("data", "recordsTotal", "recordsFiltered", "draw")
_NOT_TOLD = ("dasmon", "pvstreamer")


def pvs(equipped: Equipped, asked: Mapping[str, str], now: dt.datetime) -> dict[str, Any]:
    """PVs with the instrument's values, and the points of those that `vars` names."""
    found = status.instrument(equipped, {"length": "0"}, now)
    states = found["das_status"]
    return {
        **{name: value for name, value in found.items() if name not in _NOT_HERE},
        "variables": [*_variables(equipped), *found["variables"]],
        "das_status": {name: value for name, value in states.items() if name not in _NOT_TOLD},
        "live_plot_data": _plots(equipped, asked, now),
    }


def _variables(equipped: Equipped) -> list[dict[str, str]]:
    """Numbers first, then texts, each by name."""
    found = listed_values(equipped.instrument, Kind.PV, limit=MOST_PVS)
    numbers = [each for each in found if each.value is not None]
    texts = [each for each in found if each.value is None]
    return [_variable(each) for each in (*numbers, *texts)]


def _variable(each: Latest) -> dict[str, str]:
    shown = f"{each.value:g}" if each.value is not None else each.text or ""
    at = status.time_words(each.at)
    return {"key": each.series.name, "value": shown, "timestamp": at}


def _plots(equipped: Equipped, asked: Mapping[str, str], now: dt.datetime) -> list[list[Any]]:
    """Points of each name, all or none: one that is not known leaves the list empty."""
    told = asked.get("vars", "").replace("\0", "").split(",")
    wanted = [name for each in told if (name := each.strip())]
    if not wanted or len(wanted) > MOST_NAMES:
        return []
    since = now - dt.timedelta(seconds=_seconds(asked.get("time", "")))
    found = newest_points(equipped.instrument, wanted, since)
    if set(found) != set(wanted):
        return []
    plots = ((name, _drawn(found[name], now)) for name in wanted)
    return [[name, points] for name, points in plots if points]


def _drawn(points: Sequence[Point], now: dt.datetime) -> list[list[float]]:
    """Minutes before now and values, newest first; none if one of them is no number."""
    if not all(point.value is not None and math.isfinite(point.value) for point in points):
        return []
    drawn = [[(point.at - now).total_seconds() / 60, point.value or 0.0] for point in points]
    # Without history there are two: when the value came, and now.
    is_history = all(point.is_history for point in points)
    return drawn if is_history else [*drawn, [0.0, drawn[0][1]]]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return USUAL
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else USUAL
