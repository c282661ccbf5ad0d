"""What the plot is drawn from: the values asked for, and what lies behind them in time."""

import datetime as dt
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.urls import reverse

from dasmon_listener import selectors as values
from dasmon_listener.domain.envelopes import Grain
from dasmon_listener.domain.series import Kind
from dasmon_listener.selectors import Envelope, LatestValue
from dasmon_listener.value_lists import texts_between
from webmon.pvs.questions import Name, Question, facility_zone, form_field
from webmon.pvs.ranges import clock
from workflow_manager import selectors
from workflow_manager.models import Instrument, Run

# More bands than that are no bands but a carpet.
MOST_RUNS = 250
MOST_GAPS = 500
MOST_TEXTS = 500


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds that the parts of an answer took."""

    parts: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.parts[part] = 1000 * (time.perf_counter() - begun)

    def header(self) -> str:
        """As `Server-Timing` has it, with the `total` last."""
        total = 1000 * (time.perf_counter() - self.started)
        parts = {**self.parts, "total": total}
        return ", ".join(f"{name};dur={duration:.1f}" for name, duration in parts.items())


def drawing(instrument: Instrument, asked: Question, watch: Stopwatch) -> bytes:
    """The answer as JSON: times in seconds since 1970, UTC.

    It is made by hand: of a hundred thousand numbers each extra step would be felt.
    """
    shown = asked.range
    with watch.time("values"):
        curves = _curves(instrument, asked)
    with watch.time("runs"):
        runs, runs_are_cut = _runs(instrument, asked)
        gaps = values.gaps(instrument, shown.start, shown.end)[:MOST_GAPS]
    told = clock(shown, facility_zone())
    value = {
        "instrument": instrument.name,
        "from": shown.start.timestamp(),
        "to": shown.end.timestamp(),
        "is_open": shown.is_open,
        "from_field": form_field(shown.start),
        "to_field": form_field(shown.end),
        "offset": told.offset,
        "zone": told.name,
        "points": asked.points,
        "series": curves,
        "runs": runs,
        "runs_are_cut": runs_are_cut,
        "gaps": [
            {
                "from": gap.began_at.timestamp(),
                "to": gap.ended_at.timestamp(),
                "lost": gap.lost,
                "reason": gap.reason,
            }
            for gap in gaps
        ],
    }
    with watch.time("json"):
        return _json(value)


def _json(value: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:  # rare: a value that was no number, which JSON has no word for
        for curve in value["series"]:
            curve["last"] = _finite(curve["last"])
            for name in ("minimum", "maximum", "mean"):
                curve[name] = curve[name] and [_finite(number) for number in curve[name]]
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _curves(instrument: Instrument, asked: Question) -> list[dict[str, Any]]:
    """What was chosen, in that order; a name that only the other kind has means that one."""
    shown, texts = asked.range, [each.name for each in asked.names]
    known = values.latest_values(instrument, None, texts) if texts else []
    latest = {Name(each.name, each.kind): each for each in known}
    names = [_meant(name, latest) for name in asked.names]
    found: dict[Name, Envelope] = {}
    for kind in Kind:
        chosen = [each.name for each in names if each.kind is kind]
        if chosen:
            envelopes = values.pv_series(
                chosen, shown.start, shown.end, asked.points, instrument=instrument, kind=kind
            )
            found |= {Name(each.name, kind): each for each in envelopes}
    texts_of = [name for name in names if _is_text(latest.get(name))]
    found |= _with_texts(instrument, asked, {name: found[name] for name in texts_of})
    return [
        _curve(asked_for, name, found.get(name), latest.get(name))
        for asked_for, name in zip(asked.names, names, strict=True)
    ]


def _is_text(latest: LatestValue | None) -> bool:
    return latest is not None and latest.value is None


def _with_texts(
    instrument: Instrument, asked: Question, found: Mapping[Name, Envelope]
) -> dict[Name, Envelope]:
    """The same curves; where rollups were read, which hold no texts, with those of the samples."""
    shown, complete = asked.range, dict(found)
    for kind in {name.kind for name in found}:
        names = [name.name for name in found if name.kind is kind]
        told = texts_between(instrument, kind, names, shown.start, shown.end, limit=MOST_TEXTS)
        for each, texts in told.items():
            known = found[Name(each, kind)]
            alone = _of_texts(each, texts)
            complete[Name(each, kind)] = replace(known, texts=texts) if known.at else alone
    return complete


def _of_texts(name: str, texts: list[tuple[float, str]]) -> Envelope:
    none: list[float | None] = [None] * len(texts)
    at, count = [at for at, _ in texts], [1] * len(texts)
    return Envelope(name, Grain.RAW.value, at, none, none, none, none, count, texts)


def _meant(name: Name, latest: Mapping[Name, LatestValue]) -> Name:
    other = Name(name.name, Kind.PV if name.kind is Kind.STATUS_VALUE else Kind.STATUS_VALUE)
    return other if name not in latest and other in latest else name


def _curve(
    asked_for: Name, name: Name, found: Envelope | None, latest: LatestValue | None
) -> dict[str, Any]:
    return {
        "name": name.name,
        "parameter": asked_for.parameter,
        "kind": name.kind.word,
        "is_known": latest is not None or (found is not None and bool(found.at or found.texts)),
        "unit": latest.unit if latest else "",
        "latest": latest.shown if latest else None,
        "latest_at": latest.at.timestamp() if latest else None,
        **(_points(found) if found else _NO_POINTS),
    }


_NO_POINTS: Mapping[str, Any] = {
    **{"level": "raw", "at": (), "minimum": None, "maximum": None},
    **{"mean": (), "count": (), "last": None, "texts": ()},
}


def _points(found: Envelope) -> Mapping[str, Any]:
    """Columns of a curve; without `minimum` and `maximum` if each point is a single sample."""
    is_sampled = found.minimum == found.maximum == found.mean
    return {
        "level": found.level,
        "at": found.at,
        "minimum": None if is_sampled else found.minimum,
        "maximum": None if is_sampled else found.maximum,
        "mean": found.mean,
        "count": found.count,
        "last": next((value for value in reversed(found.last) if value is not None), None),
        "texts": found.texts,
    }


def _runs(instrument: Instrument, asked: Question) -> tuple[list[dict[str, Any]], bool]:
    """The runs of that time, none of them if they are too many to tell apart."""
    shown = asked.range
    found = selectors.runs_between(instrument, shown.start, shown.end, limit=MOST_RUNS + 1)
    if len(found) > MOST_RUNS:
        return [], True
    begins = shown.start.timestamp()
    return [band for band in _bands(found, shown.end) if band["to"] >= begins], False


def _bands(runs: Sequence[Run], end: dt.datetime) -> Iterator[dict[str, Any]]:
    """Runs oldest first; one ends where its data were ready, or the next had begun."""
    followers = [*(run.created_at for run in runs), None][1:]
    for run, follower in zip(runs, followers, strict=True):
        ends = [at for at in (run.data_ready_at, follower, end) if at is not None]
        yield {
            "number": run.number,
            "from": run.created_at.timestamp(),
            "to": max(min(ends), run.created_at).timestamp(),
            "proposal": run.proposal.name,
            "is_acquiring": run.data_ready_at is None,
            "address": reverse("run", args=[run.instrument.name, run.number]),
        }
