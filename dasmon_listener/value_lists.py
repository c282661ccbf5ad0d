"""The newest values of an instrument: by name a part at a time, and the last points of some."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Latest
from dasmon_listener.sql import VALUE_LISTS
from workflow_manager.models import Instrument

MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Point:
    """A value, None if it was no number; not of history if only the newest value is kept."""

    at: dt.datetime
    value: float | None
    is_history: bool


def listed_values(
    instrument: Instrument, kind: Kind, *, part: str = "", after: str = "", limit: int
) -> list[Latest]:
    """Values that are recorded, by name, each with its series.

    `part` is a part of the name in any case; `after` is the name that the last part ended with.
    """
    found = Latest.objects.filter(
        series__instrument=instrument,
        series__kind=kind.value,
        series__name__gt=after,
        series__is_recorded=True,
    )
    if part:
        found = found.filter(series__name__icontains=part)
    return list(found.select_related("series").order_by("series__name")[:limit])


def newest_points(
    instrument: Instrument, names: Sequence[str], since: dt.datetime
) -> dict[str, list[Point]]:
    """Samples of PVs since a moment, newest first; if those are fewer than two, the newest 20.

    A PV without samples has its newest value. Names that no PV has in any case are left out.
    """
    values: dict[str, Any] = {
        "instrument": instrument.pk,
        "names": list(dict.fromkeys(names)),
        "since": since,
        "most": MOST_POINTS,
    }
    found: dict[str, list[Point]] = {}
    with connection.cursor() as cursor:
        cursor.execute(VALUE_LISTS["newest_points"], values)
        for name, *point in cursor.fetchall():
            found.setdefault(name, []).append(Point(*point))
    return found


def texts_between(
    instrument: Instrument,
    kind: Kind,
    names: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    *,
    limit: int,
) -> dict[str, list[tuple[float, str]]]:
    """What was told as a text and is no number, with its time in seconds since 1970; oldest first.

    Of each name the newest `limit`, as far back as samples are kept. Names without any are left
    out.
    """
    values: dict[str, Any] = {
        **{"instrument": instrument.pk, "kind": kind.value, "names": list(names)},
        **{"start": start, "end": end, "limit": limit},
    }
    found: dict[str, list[tuple[float, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(VALUE_LISTS["texts_between"], values)
        for name, at, text in cursor.fetchall():
            found.setdefault(name, []).append((at, text))
    return found
