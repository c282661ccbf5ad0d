"""Values of the pages about an instrument now.

The same value becomes HTML and JSON, so the two cannot disagree.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dasmon_listener import alarm_lists, selectors
from dasmon_listener.alarm_lists import AlarmFilter, ShownAlarm
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.pv_statuses import status_word
from dasmon_listener.domain.recording import Recording, recording_state, run_now
from dasmon_listener.domain.series import Kind
from dasmon_listener.overview import VALUES_EVERY, Equipped
from dasmon_listener.selectors import LatestValue, MonitoredValue
from livedata import selectors as livedata
from webmon.runs.pages import RunList, run_list
from webmon.runs.verdict import Tone
from webmon.status.components import SCRIPTS, ComponentLine, Light, component_lines, dasmon_light
from webmon.status.gap_words import gap_sentence
from webmon.status.sparklines import NOTHING, Sparkline, kept_sparklines, sparklines
from webmon.ui import durations, numbers
from workflow_manager.selectors import Position, RunFilter

# When PVs are this much older than other values, what writes them is likely dead.
PVS_LATE = dt.timedelta(minutes=5)
SILENT = 3 * VALUES_EVERY
GAPS_OF = dt.timedelta(hours=1)
COMPONENTS = "system_"
FOUND_NAMES = 50
MOST_ALARMS = 50


@dataclass(frozen=True, slots=True)
class StatusVerdict:
    """Whether the instrument records. `words` follow, empty while all is well.

    `run_number` is a text as data acquisition sent it; it is a link if `has_run_page`.
    """

    recording: Recording
    tone: Tone
    words: str
    run_number: str
    has_run_page: bool
    heard_at: dt.datetime | None
    expected_every: dt.timedelta = VALUES_EVERY


@dataclass(frozen=True, slots=True)
class Number:
    """One of the numbers at the top; `raw` is how it came."""

    name: str
    label: str
    shown: str
    unit: str
    raw: str
    at: dt.datetime
    expected_every: dt.timedelta | None


@dataclass(frozen=True, slots=True)
class Fact:
    """A text with its age."""

    text: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class PvLine:
    """A chosen PV; without a value `at` is None. `status` is empty while that is good."""

    name: str
    shown: str
    raw: str
    unit: str
    status: str
    at: dt.datetime | None
    sparkline: Sparkline


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An open alarm. `over_at` is set where one that is over still waits for somebody."""

    id: int
    name: str
    level: str
    message: str
    raised_at: dt.datetime
    over_at: dt.datetime | None
    acknowledged_by: str
    shelved_until: dt.datetime | None
    guidance: str


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What came of making a reduction script, in the agent's words."""

    text: str
    tone: Tone
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class ValueLine:
    """One of the values that are not shown above."""

    name: str
    shown: str
    unit: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class LivePart:
    """What changes all the time. `has_data` is whether a status value ever came.

    `alarms` are at most `MOST_ALARMS` of the `count_alarms` that are open, those that need somebody
    first: in a storm a page is needed most.
    `others` are the values not shown above.
    """

    instrument: str
    has_data: bool
    verdict: StatusVerdict
    title: Fact | None
    proposal: Fact | None
    numbers: tuple[Number, ...]
    alarms: tuple[AlarmLine, ...]
    count_alarms: int
    pvs: tuple[PvLine, ...]
    components: tuple[ComponentLine, ...]
    warnings: tuple[str, ...]
    gaps: str
    script: ScriptResult | None
    others: tuple[ValueLine, ...]
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class StatusPage:
    """An instrument now, its newest runs, and the newest that has a plot."""

    instrument: str
    facility: str
    live: LivePart
    plotted_run: int | None
    runs: RunList
    may_tend: bool
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class ChosenPv:
    """A PV that the instrument's page shows; `at` is None while it has no value."""

    name: str
    at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PvsPage:
    """Which PVs an instrument's page shows, in order, and those found to add.

    `is_exact` is whether what was looked for is the name of one of them.
    """

    instrument: str
    chosen: tuple[ChosenPv, ...]
    text: str
    found: tuple[ChosenPv, ...]
    is_exact: bool
    is_cut: bool
    read_at: dt.datetime


def status_page(
    equipped: Equipped, older_than: Position | None, now: dt.datetime, *, may_tend: bool
) -> StatusPage:
    name = equipped.instrument.name
    runs = run_list(RunFilter(instrument=name), older_than, now)
    facility = equipped.instrument.facility
    plotted = livedata.newest_run_with(name)
    # Lines take as many statements as half of the page; they are drawn a moment later.
    live = live_part(equipped, now, draws=False)
    return StatusPage(name, facility, live, plotted, runs, may_tend, now)


def live_part(equipped: Equipped, now: dt.datetime, *, draws: bool = True) -> LivePart:
    """All of it but the runs; without `draws` only lines that were drawn a moment ago."""
    instrument = equipped.instrument
    found = selectors.latest_values(instrument, Kind.STATUS_VALUE)
    values = {each.name: each for each in found}
    monitored = selectors.monitored_pvs(instrument)
    names = [each.name for each in monitored]
    lines = sparklines(instrument, names, now) if draws else kept_sparklines(instrument, names)
    pvs = tuple(_pv_line(each, lines.get(each.name, NOTHING)) for each in monitored)
    components = component_lines(equipped, now)
    # The signs of life of processes come as values too, and say nothing of the instrument.
    told = [each for each in found if not each.name.startswith(COMPONENTS)]
    heard_at = max((each.received_at for each in told), default=None)
    wanted = AlarmFilter(instrument.name)
    alarms = alarm_lists.open_alarms(wanted, limit=MOST_ALARMS)
    count_alarms = len(alarms)
    if count_alarms == MOST_ALARMS:
        count_alarms = alarm_lists.count_open(wanted)
    return LivePart(
        instrument=instrument.name,
        has_data=bool(told),
        verdict=_verdict(equipped, values, heard_at, now),
        title=_fact(values.get("run_title")),
        proposal=_proposal(values.get("proposal_id")),
        numbers=tuple(_number(values[key], *how) for key, *how in _NUMBERS if key in values),
        alarms=tuple(map(_alarm_line, alarms)),
        count_alarms=count_alarms,
        pvs=pvs,
        components=components,
        warnings=tuple(_warnings(components, monitored, heard_at, now)),
        gaps=gap_sentence(selectors.gaps(instrument, now - GAPS_OF, now), GAPS_OF, now),
        script=_script(values.get(f"{COMPONENTS}{SCRIPTS}")),
        others=tuple(_value_line(each) for each in found if each.name not in _SHOWN_ABOVE),
        read_at=now,
    )


def pvs_page(equipped: Equipped, text: str, now: dt.datetime) -> PvsPage:
    """`text` is a part of the names to look for; empty looks for nothing."""
    instrument = equipped.instrument
    monitored = selectors.monitored_pvs(instrument)
    chosen = tuple(map(_chosen, monitored))
    known = selectors.known_names(instrument, text, limit=FOUND_NAMES) if text else []
    pvs = [each for each in known if each.kind is Kind.PV]
    taken = {each.name for each in chosen}
    is_exact = text in taken or any(each.name == text for each in pvs)
    found = tuple(ChosenPv(each.name, each.at) for each in pvs if each.name not in taken)
    is_cut = len(known) == FOUND_NAMES
    return PvsPage(instrument.name, chosen, text, found, is_exact, is_cut, now)


def _chosen(each: MonitoredValue) -> ChosenPv:
    return ChosenPv(each.name, each.latest.at if each.latest else None)


def _verdict(
    equipped: Equipped,
    values: Mapping[str, LatestValue],
    heard_at: dt.datetime | None,
    now: dt.datetime,
) -> StatusVerdict:
    recording = state_of(equipped, values)
    if equipped.is_adara and heard_at is None:
        recording = Recording.UNKNOWN
    number = run_now(values["run_number"].shown if "run_number" in values else None)
    tone, words = _TONES[recording], ""
    if equipped.is_adara and heard_at is not None and now - heard_at > SILENT:
        tone = Tone.BAD
        words = "as it was when last heard"
    is_number = number.isascii() and number.isdigit() and 0 < int(number[:10]) < 2**31
    return StatusVerdict(recording, tone, words, number, is_number, heard_at)


def state_of(equipped: Equipped, values: Mapping[str, LatestValue]) -> Recording:
    """Whether it records, by what was heard last."""
    recording, paused = (
        values[name].shown if name in values else None for name in ("recording", "paused")
    )
    return recording_state(
        recording, paused, is_adara=equipped.is_adara, is_known=equipped.is_recording_known
    )


_TONES = {
    Recording.RECORDING: Tone.BUSY,
    Recording.PAUSED: Tone.CALM,
    Recording.STOPPED: Tone.CALM,
    Recording.UNKNOWN: Tone.CALM,
    Recording.NOT_REPORTED: Tone.CALM,
}

# What is sent again and again may be old; what is told when it changes may not.
_NUMBERS = (
    ("count_rate", "Count rate", "/s", VALUES_EVERY),
    ("total_counts", "Total counts", "", VALUES_EVERY),
    ("total_charge", "Proton charge", "", VALUES_EVERY),
    ("total_time", "Time", "", VALUES_EVERY),
    ("scan_index", "Scan index", "", None),
)
_SHOWN_ABOVE = {
    *(key for key, *_ in _NUMBERS),
    *("recording", "paused", "run_number", "run_title", "proposal_id"),
    f"{COMPONENTS}{SCRIPTS}",
}


def _number(value: LatestValue, label: str, unit: str, every: dt.timedelta | None) -> Number:
    shown = _readable(value)
    if value.name == "total_time" and value.value is not None and 0 <= value.value < 1e9:
        shown = durations.words(dt.timedelta(seconds=value.value))
    return Number(value.name, label, shown, value.unit or unit, value.shown, value.at, every)


def _readable(value: LatestValue) -> str:
    """A number grouped; one that came with an exponent had no more digits than it shows."""
    if value.value is None or (value.text is not None and "e" in value.text.lower()):
        return value.shown
    return numbers.words(value.value)


def _fact(value: LatestValue | None) -> Fact | None:
    return None if value is None or not value.shown.strip() else Fact(value.shown, value.at)


def _proposal(value: LatestValue | None) -> Fact | None:
    fact = _fact(value)
    if fact is None or not fact.text.isdigit():
        return fact
    return Fact(f"IPTS-{fact.text}", fact.at)


def _value_line(value: LatestValue) -> ValueLine:
    return ValueLine(value.name, value.shown, value.unit, value.at)


def _pv_line(each: MonitoredValue, line: Sparkline) -> PvLine:
    latest = each.latest
    if latest is None:
        return PvLine(each.name, "", "", "", "", None, line)
    shown = _readable(latest)
    word = status_word(latest.status)
    return PvLine(each.name, shown, latest.shown, latest.unit, word, latest.at, line)


def _alarm_line(shown: ShownAlarm) -> AlarmLine:
    alarm = shown.alarm
    by = alarm.acknowledged_by
    acknowledged_by = (by.get_username() if by else "somebody") if alarm.acknowledged_at else ""
    return AlarmLine(
        id=alarm.pk,
        name=alarm.name,
        level=Level(alarm.level).word,
        message=alarm.message,
        raised_at=alarm.raised_at,
        over_at=alarm.over_at,
        acknowledged_by=acknowledged_by,
        shelved_until=shown.shelved_until,
        guidance=shown.guidance,
    )


def _warnings(
    components: tuple[ComponentLine, ...],
    monitored: Sequence[MonitoredValue],
    heard_at: dt.datetime | None,
    now: dt.datetime,
) -> list[str]:
    """What several signs together say, which none says alone."""
    found = []
    is_quiet = heard_at is None or now - heard_at > SILENT
    if is_quiet and dasmon_light(components) is Light.OK:
        found.append(
            "DASMON is alive and sends no values: ask Linux support or data acquisition (DAS) "
            "to restart DASMON."
        )
    pv_at = max((each.latest.received_at for each in monitored if each.latest), default=None)
    if not is_quiet and pv_at is not None and now - pv_at > PVS_LATE:
        found.append(
            f"DASMON sends values and no chosen PV was written for {durations.age(now - pv_at)}: "
            "ask Linux support or data acquisition (DAS) to look at pvsd."
        )
    return found


def _script(value: LatestValue | None) -> ScriptResult | None:
    """It is text; a number on this name is a sign of life."""
    if value is None or value.value is not None or not value.shown.strip():
        return None
    is_bad = value.shown.startswith(("Error", "Missing"))
    return ScriptResult(value.shown, Tone.BAD if is_bad else Tone.GOOD, value.at)
