"""How values look on pages: times with their age, durations, states with their shape."""

import datetime as dt
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from webmon.ui import durations
from workflow_manager.domain.steps import step_label

register = template.Library()
NOTHING = "\N{EN DASH}"
_NUMBER_AND_UNIT = re.compile(r"(\d) ")


@register.simple_tag
def age(
    at: dt.datetime | None, every: dt.timedelta | None = None, now: dt.datetime | None = None
) -> SafeString | str:
    """A ticking age; with `every` it greys after that interval and reddens after three."""
    if at is None:
        return "never"
    past = (now or timezone.now()) - at
    expected = "" if every is None else f"{every.total_seconds():.0f}"
    return mark_safe(  # noqa: S308 (made of numbers)
        f'<time class="age" datetime="{at.astimezone(dt.UTC).isoformat()}" '
        f'title="{absolute(at)}" data-every="{expected}" '
        f'data-fresh="{freshness(past, every)}">{_together(durations.age(past))}</time>'
    )


def _together(words: str) -> str:
    """A number and its unit stay together where a narrow column breaks the line."""
    return _NUMBER_AND_UNIT.sub("\\1\N{NO-BREAK SPACE}", words)


@register.simple_tag
def moment(at: dt.datetime | None) -> SafeString | str:
    """An absolute time in the facility's zone."""
    if at is None:
        return NOTHING
    utc = at.astimezone(dt.UTC).isoformat()
    return mark_safe(f'<time datetime="{utc}" title="{utc}">{absolute(at)}</time>')  # noqa: S308


def absolute(at: dt.datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S %Z")


def freshness(past: dt.timedelta, every: dt.timedelta | None) -> str:
    """`fresh`, `stale` after the expected interval, `late` after three of them."""
    if every is None or past <= every:
        return "fresh"
    return "stale" if past <= 3 * every else "late"


@register.filter
def duration(value: dt.timedelta | None) -> str:
    return NOTHING if value is None else durations.words(value)


@register.filter
def milliseconds(value: dt.timedelta) -> str:
    count = 1000 * value.total_seconds()
    return f"{count:.0f} ms" if count >= 10 else f"{count:.2g} ms"


@register.filter
def seconds(value: float | None) -> str:
    """A number of seconds as a duration, less than one in milliseconds."""
    if value is None:
        return NOTHING
    length = dt.timedelta(seconds=value)
    return milliseconds(length) if value < 1 else duration(length)


@register.filter
def step_words(step: str) -> str:
    return step_label(step)


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.simple_tag
def state(name: str) -> SafeString:
    """A state in word, shape and colour."""
    return _state(str(name))


# A list shows these a hundred times, and there are only a few of each.
@cache
def _state(name: str) -> SafeString:
    return mark_safe(render_to_string("ui/state.html", {"name": name}))  # noqa: S308 (a template)


@register.simple_tag
def strip(steps: Sequence[Any]) -> SafeString:
    """How far each step is, as a row of shapes."""
    return _strip(tuple((step.step.label, step.phase.word) for step in steps))


@cache
def _strip(steps: tuple[tuple[str, str], ...]) -> SafeString:
    return mark_safe(render_to_string("ui/strip.html", {"steps": steps}))  # noqa: S308 (a template)


@register.simple_tag
def tone_shape(tone: str, state: str) -> str:
    """The shape that goes with a sentence: that of the state while something is under way."""
    return {"good": "done", "bad": "failed", "calm": "skipped"}.get(str(tone), str(state))


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: str) -> str:
    """The query of the present address with changes; empty values are left out."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters[name] = value
    for name in [name for name, value in parameters.items() if not value]:
        del parameters[name]
    return str(parameters.urlencode())


@register.simple_tag
def sparkline(bars: Sequence[Any]) -> SafeString:
    """Runs per hour as an SVG of 24 bars, 4 units each; failures are the dark foot."""
    highest = max((bar.runs for bar in bars), default=0)
    total = sum(bar.runs for bar in bars)
    runs = _bars([bar.runs for bar in bars], highest or 1, shortest=0.75)
    failed = _bars([bar.failed for bar in bars], highest or 1, shortest=0.0)
    return mark_safe(  # noqa: S308 (made of numbers)
        f'<svg class="sparkline" viewBox="0 0 {4 * len(bars)} 24" role="img" '
        f'preserveAspectRatio="none" aria-label="{total} runs in the last {len(bars)} hours, '
        f'at most {highest} in an hour"><path d="{runs}"/><path class="failed" d="{failed}"/></svg>'
    )


@register.simple_tag
def progress_bar(progress: Any, jobs: int) -> SafeString:
    """How the jobs of a batch are as one bar; the words beside it say the same."""
    place, drawn = 0.0, ""
    for kind in ("done", "skipped", "failed", "running", "sent", "held", "cancelled"):
        width = 100 * getattr(progress, kind) / max(jobs, 1)
        if width:
            drawn += f'<rect class="{kind}" x="{place:.4g}" width="{width:.4g}" height="8"/>'
        place += width
    return mark_safe(  # noqa: S308 (made of numbers)
        '<svg class="progress" viewBox="0 0 100 8" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def _bars(counts: Sequence[int], highest: int, shortest: float) -> str:
    """One path from the ground up for each count."""
    heights = (max(shortest, 24 * count / highest) for count in counts)
    return "".join(
        f"M{4 * place} 24v-{height:.4g}h3V24z" for place, height in enumerate(heights) if height
    )
