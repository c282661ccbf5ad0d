"""How alarms look: their level, and a week of occurrences as a line."""

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_WIDTH, _HEIGHT, _NARROWEST = 700.0, 24, 3.0


@register.simple_tag
def level(word: str) -> SafeString:
    """A level in word, shape and colour."""
    return _level(str(word))


@cache
def _level(word: str) -> SafeString:
    return mark_safe(render_to_string("alarms/level.html", {"level": word}))  # noqa: S308 (a template)


@register.simple_tag
def occurrence_line(
    occurrences: Sequence[Any], since: dt.datetime, until: dt.datetime
) -> SafeString:
    """When it would have fired, as marks on a line; the list beside it says the same in words."""
    bars = "".join(
        f'<rect x="{left:.5g}" y="4" width="{right - left:.5g}" height="16"/>'
        for left, right in _marks(occurrences, since, until)
    )
    days = "".join(
        f'<path d="M{_place(day, since, until):.4g} 0v{_HEIGHT}"/>' for day in _days(since, until)
    )
    return mark_safe(  # noqa: S308 (made of numbers)
        f'<svg class="week" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{len(occurrences)} times in the last week">'
        f'<g class="days">{days}</g>{bars}</svg>'
    )


def _marks(
    occurrences: Sequence[Any], since: dt.datetime, until: dt.datetime
) -> list[tuple[float, float]]:
    """Left and right ends, wide enough to be seen; those that touch are one.

    A value that trembles about its limit is there hundreds of thousands of times.
    """
    marks: list[tuple[float, float]] = []
    for each in occurrences:
        left = min(_place(each.began_at, since, until), _WIDTH - _NARROWEST)
        right = max(left + _NARROWEST, _place(each.ended_at or until, since, until))
        if marks and left <= marks[-1][1]:
            left, right = marks[-1][0], max(marks[-1][1], right)
            marks[-1] = (left, right)
        else:
            marks.append((left, right))
    return marks


def _place(at: dt.datetime, since: dt.datetime, until: dt.datetime) -> float:
    part = (at - since) / (until - since)
    return _WIDTH * min(1.0, max(0.0, part))


def _days(since: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """The midnights of the facility in that time."""
    first = timezone.localtime(since).date() + dt.timedelta(days=1)
    midnights = (
        timezone.make_aware(dt.datetime.combine(first + dt.timedelta(days=n), dt.time()))
        for n in range((until - since).days + 1)
    )
    return [at for at in midnights if at < until]
