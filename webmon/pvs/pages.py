"""The value of the explorer's page: what was chosen, and the list to choose from."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Latest
from dasmon_listener.value_lists import listed_values
from webmon.pvs.questions import MOST_NAMES, Name, Question, facility_zone, form_field
from webmon.pvs.ranges import PRESET_WORDS, PRESETS, TimeRange
from workflow_manager.models import Instrument

ROWS = 50

# Below that, one is as good as the other, and there is no room.
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A PV's newest value; `status` is the code of the data acquisition, 0 is good."""

    name: str
    shown: str
    unit: str
    status: int | None
    at: dt.datetime
    is_chosen: bool
    choose: str


@dataclass(frozen=True, slots=True)
class ValueList:
    """PVs by name; `after` is where the next part begins, empty at the end."""

    part: str
    rows: tuple[ValueRow, ...]
    is_first_part: bool
    after: str
    carried: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """A button for a length of time; `query` is the address behind it."""

    name: str
    words: str
    is_chosen: bool
    query: str


@dataclass(frozen=True, slots=True)
class Chip:
    """A value that was chosen; `without` is the address after it was taken away."""

    name: str
    parameter: str
    without: str


@dataclass(frozen=True, slots=True)
class ExplorerPage:
    """`begins` and `ends` are in the facility's zone, as a form's fields take them.

    `kept` says for how long there is history, `problem` why the address could not be followed.
    """

    instrument: str
    chips: tuple[Chip, ...]
    presets: tuple[Preset, ...]
    range: TimeRange
    begins: str
    ends: str
    zone: str
    values: ValueList
    may_tend: bool
    most_names: int
    kept: str
    problem: str
    read_at: dt.datetime


def explorer_page(
    instrument: Instrument,
    asked: Question,
    values: ValueList,
    now: dt.datetime,
    *,
    may_tend: bool,
    problem: str = "",
) -> ExplorerPage:
    """`problem` says why the address could not be followed as it is."""
    shown = asked.range
    return ExplorerPage(
        instrument=instrument.name,
        chips=tuple(_chip(each, asked) for each in asked.names),
        presets=tuple(_preset(name, asked) for name in PRESETS),
        range=shown,
        begins=form_field(shown.start),
        ends="" if shown.is_open else form_field(shown.end),
        zone=facility_zone().key,
        values=values,
        may_tend=may_tend,
        most_names=MOST_NAMES,
        kept=_kept_words(),
        problem=problem,
        read_at=now,
    )


def _kept_words() -> str:
    """How long what can be downloaded is there."""
    kept = {"samples": settings.DASMON_RAW_DAYS, "minutes": settings.DASMON_MINUTE_DAYS}
    told = (f"{what} for {_days(many)}" for what, many in kept.items() if many)
    return ", ".join([*told, "everything else for ever"])


def _days(many: int) -> str:
    return f"{many} days" if many < 730 else f"{many // 365} years"


def value_list(instrument: Instrument, asked: Question, part: str, after: str) -> ValueList:
    """One part of all PVs; one more is read than is shown, to know whether there is another."""
    found = listed_values(instrument, Kind.PV, part=part, after=after, limit=ROWS + 1)
    chosen = set(asked.of_kind(Kind.PV))
    rows = tuple(_row(each, asked, each.series.name in chosen) for each in found[:ROWS])
    more = rows[-1].name if len(found) > ROWS else ""
    carried = (*_pairs(asked.names), *_when(asked.range))
    return ValueList(part, rows, not after, more, carried)


def _row(latest: Latest, asked: Question, is_chosen: bool) -> ValueRow:
    name = latest.series.name
    return ValueRow(
        name=name,
        shown=_shown(latest),
        unit=latest.series.unit,
        status=latest.status,
        at=latest.at,
        is_chosen=is_chosen,
        choose=_address(asked, [*asked.names, Name(name, Kind.PV)]),
    )


def _shown(latest: Latest) -> str:
    if latest.value is None:
        return latest.text or ""
    return latest.text or f"{latest.value:.{_DIGITS}g}"


def _chip(name: Name, asked: Question) -> Chip:
    others = [each for each in asked.names if each != name]
    return Chip(name.name, name.parameter, _address(asked, others))


def _preset(name: str, asked: Question) -> Preset:
    query = urlencode([*_pairs(asked.names), ("range", name)])
    return Preset(name, PRESET_WORDS[name], asked.range.preset == name, query)


def _address(asked: Question, names: Sequence[Name]) -> str:
    return urlencode([*_pairs(names), *_when(asked.range)])


def _pairs(names: Sequence[Name]) -> list[tuple[str, str]]:
    return [(each.parameter, each.name) for each in names]


def _when(shown: TimeRange) -> list[tuple[str, str]]:
    """The range as addresses have it, absolute times in UTC."""
    if shown.preset:
        return [("range", shown.preset)]
    ends = [] if shown.is_open else [("to", _utc(shown.end))]
    return [("from", _utc(shown.start)), *ends]


def absolute_query(asked: Question) -> str:
    """The same question without anything that depends on the reader's clock or zone."""
    return _address(asked, asked.names)


def _utc(at: dt.datetime) -> str:
    """ISO 8601, with no more digits than it needs."""
    text = at.astimezone(dt.UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"
