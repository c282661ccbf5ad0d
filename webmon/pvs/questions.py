"""What an address asks of the explorer: which values, over which time, how finely."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict

from dasmon_listener.domain.series import Kind
from webmon.pvs.ranges import TimeRange, time_range

MOST_NAMES = 8
LONGEST_NAME = 1024
FEWEST_POINTS, USUAL_POINTS, MOST_POINTS = 2, 1000, 2000

# PVs and status values may have the same name, so an address tells them apart.
PARAMETERS = {Kind.PV: "pv", Kind.STATUS_VALUE: "value"}


class QuestionError(ValueError):
    """An address asks for what cannot be answered; the text is for its author."""


@dataclass(frozen=True, slots=True)
class Name:
    """One value that was chosen; `parameter` is how addresses call its kind."""

    name: str
    kind: Kind

    @property
    def parameter(self) -> str:
        return PARAMETERS[self.kind]


@dataclass(frozen=True, slots=True)
class Question:
    """The names in the order in which they were chosen: PVs, then status values."""

    names: tuple[Name, ...]
    range: TimeRange
    points: int

    def of_kind(self, kind: Kind) -> Sequence[str]:
        return [each.name for each in self.names if each.kind is kind]


def facility_zone() -> ZoneInfo:
    return ZoneInfo(settings.TIME_ZONE)


def form_field(at: dt.datetime) -> str:
    """A moment as a form's field takes it: by the facility's clock, to the second."""
    return at.astimezone(facility_zone()).replace(tzinfo=None, microsecond=0).isoformat()


def question(values: QueryDict, now: dt.datetime) -> Question:
    """Read `pv`, `value`, `range`, `from`, `to` and `points`.

    Raises:
        QuestionError: too many names, or a number of points out of bounds.
        RangeError: not a time.
    """
    return Question(names(values), time_range(values, now, facility_zone()), _points(values))


def names(values: QueryDict) -> tuple[Name, ...]:
    """The names asked for, each once."""
    found = dict.fromkeys(
        Name(text, kind)
        for kind, parameter in PARAMETERS.items()
        # PostgreSQL has no NUL in text.
        for name in values.getlist(parameter)
        if (text := name.replace("\0", "").strip())
    )
    if len(found) > MOST_NAMES:
        raise QuestionError(f"{len(found)} values were chosen: at most {MOST_NAMES} can be drawn.")
    if any(len(each.name) > LONGEST_NAME for each in found):
        raise QuestionError(f"A name has more than {LONGEST_NAME} characters: no value has that.")
    return tuple(found)


def _points(values: QueryDict) -> int:
    text = values.get("points", "").strip() or str(USUAL_POINTS)
    # The length first: Python refuses to read numbers of thousands of digits with another error.
    is_number = text.isascii() and text.isdigit() and len(text) < 9
    if not is_number or not FEWEST_POINTS <= int(text) <= MOST_POINTS:
        raise QuestionError(f"points: a whole number from {FEWEST_POINTS} to {MOST_POINTS}.")
    return int(text)
