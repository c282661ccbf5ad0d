"""The writes: a batch of what came, in the caller's transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection
from django.db.backends.utils import CursorWrapper

from dasmon_listener.domain.readings import read
from dasmon_listener.domain.series import Kind
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.topics import Topic
from dasmon_listener.intake import Batch, Missing, Taken, Unread
from dasmon_listener.protocol.messages import (
    Answer,
    Heartbeat,
    PvReadings,
    ScriptResult,
    Signal,
    StatusValues,
)
from dasmon_listener.series import NOT_RECORDED, Names, Register, SeriesKey
from dasmon_listener.sql import INGEST
from workflow_manager.services import CHANGES, notify

PERIOD = timedelta(seconds=5)
PERIOD_OF_AGENTS = timedelta(seconds=30)

# A sender's clock may be ahead of ours by so much; beyond it our time is taken.
_MOST_AHEAD = 60.0
_MOST_UNREAD_ROWS = 1_000

_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_TOO_MANY_VALUES = (
    "The instrument has too many different status values; those under new names are not kept."
)
_TOO_MANY_INSTRUMENTS = (
    "Too many new instruments came within an hour; this one is taken in later, "
    "or at once if it is made on the administration pages."
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch."""

    values: int
    signals: Sequence[SignalReport]


# Its time as number and text, when it came, what came, and the status of a PV.
_Newest = tuple[float, str, str, str | None, int | None]


@dataclass(slots=True)
class _Rows:
    """Lines of a COPY, and the newest of each series."""

    samples: list[str] = field(default_factory=list)
    newest: dict[int, _Newest] = field(default_factory=dict)
    instruments: set[str] = field(default_factory=set)

    def add_values(self, taken: Taken, message: StatusValues, names: Names) -> None:
        self.instruments.add(message.topic.instrument)
        at = _at(message.at, taken.received_at)
        at_text, received_text = _moment(at), _moment(taken.received_at)
        samples, newest = self.samples, self.newest
        for name, came in message.values.items():
            number = names.get(name, NOT_RECORDED)
            if number == NOT_RECORDED:
                continue
            value, text = read(came)
            kept = _NULL if text is None else text.translate(_ESCAPES)
            samples.append(f"{at_text}\t{value or _NULL}\t{number}\t\\N\t{kept}\n")
            known = newest.get(number)
            if known is None or at >= known[0]:
                newest[number] = (at, at_text, received_text, came, None)

    def add_readings(self, taken: Taken, message: PvReadings, names: Names) -> None:
        self.instruments.add(message.topic.instrument)
        received_text = _moment(taken.received_at)
        told, at, at_text = None, taken.received_at, received_text
        for reading in message.readings:
            number = names.get(reading.name, NOT_RECORDED)
            if number == NOT_RECORDED:
                continue
            if reading.at != told:
                told = reading.at
                at = _at(told, taken.received_at)
                at_text = _moment(at)
            value, text = read(reading.value)
            status = reading.status
            self.samples.append(
                f"{at_text}\t{value or _NULL}\t{number}\t{_NULL if status is None else status}"
                f"\t{_NULL if text is None else text.translate(_ESCAPES)}\n"
            )
            known = self.newest.get(number)
            if known is None or at >= known[0]:
                self.newest[number] = (at, at_text, received_text, reading.value, status)

    def add_newest(self, taken: Taken, told: float | None, number: int, came: str) -> None:
        """A value without history."""
        at = _at(told, taken.received_at)
        known = self.newest.get(number)
        if number != NOT_RECORDED and (known is None or at >= known[0]):
            self.newest[number] = (at, _moment(at), _moment(taken.received_at), came, None)


def store(batch: Batch, register: Register) -> Stored:
    """Write everything but the signals, whose instruments exist afterwards.

    Raises:
        django.db.Error: nothing was written; the register must forget what it learned.
    """
    with connection.cursor() as cursor:
        register.look(cursor)
        numbers = register.instruments(cursor, _facilities(batch))
        telemetry, notable, refused = _of_known_instruments(batch, numbers)
        messages = [*telemetry, *_as_values(notable)]
        register.learn(cursor, _unknown_series(messages, notable, numbers, register))
        refused += _of_unknown_series(messages, numbers, register)
        rows = _rows(messages, notable, numbers, register)
        _write_rows(cursor, rows)
        _write_components(cursor, notable, numbers)
        _write_gaps(cursor, batch.gaps, numbers)
        _write_unread(cursor, [*batch.unread, *refused])
        notify(cursor, CHANGES, [f"values {name}" for name in sorted(rows.instruments)])
    signals = [each.message.report for each in notable if isinstance(each.message, Signal)]
    return Stored(len(rows.samples), signals)


def mark_batch() -> UUID:
    """Put a new mark on the batch that the caller's transaction writes."""
    mark = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(INGEST["mark_batch"], {"mark": mark})
    return mark


def is_written(mark: UUID) -> bool:
    """Whether the last batch that anybody wrote has this mark; also after the server's restart.

    Raises:
        django.db.Error: nobody knows; the database does not answer.
    """
    with connection.cursor() as cursor:
        cursor.execute(INGEST["is_written"], {"mark": mark})
        (answer,) = cursor.fetchone()
    return bool(answer)


def last_alive() -> datetime | None:
    """Until when what a listener received is surely written; None if there never was one."""
    with connection.cursor() as cursor:
        cursor.execute(INGEST["last_alive"])
        (at,) = cursor.fetchone()
    found: datetime | None = at
    return found


def _at(told: float | None, received_at: float) -> float:
    """The sender's time, or ours where it told none or one that cannot be."""
    return received_at if told is None or told > received_at + _MOST_AHEAD else told


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _facilities(batch: Batch) -> dict[str, str]:
    """The instruments of a batch with their facilities."""
    wanted = {each.instrument: "" for each in batch.gaps if each.instrument}
    for taken in batch.taken:
        topic = _owner(taken)
        wanted[topic.instrument] = topic.facility
    return wanted


def _owner(taken: Taken) -> Topic:
    return taken.message.topic


def _of_known_instruments(
    batch: Batch, numbers: Mapping[str, int]
) -> tuple[list[Taken], list[Taken], list[Unread]]:
    """Telemetry and the rest, without those whose instrument may not be made."""
    refused = [each for each in batch.taken if _owner(each).instrument not in numbers]
    if not refused:
        return list(batch.telemetry), list(batch.notable), []
    unread = [Unread(each.destination, _TOO_MANY_INSTRUMENTS, each.body) for each in refused]
    return (
        [each for each in batch.telemetry if _owner(each).instrument in numbers],
        [each for each in batch.notable if _owner(each).instrument in numbers],
        unread,
    )


def _as_values(notable: Iterable[Taken]) -> Iterator[Taken]:
    """What is more than a sign of life: the results of scripts have a history."""
    for taken in notable:
        message = taken.message
        if isinstance(message, ScriptResult):
            values = {f"system_{message.name}": message.text}
            shown = StatusValues(message.topic, message.at, values)
            yield Taken(shown, taken.received_at, taken.destination, taken.body)


def _kind_and_names(message: object) -> tuple[Kind, Iterable[str]]:
    if isinstance(message, StatusValues):
        return Kind.STATUS_VALUE, message.values.keys()
    if isinstance(message, PvReadings):
        return Kind.PV, [reading.name for reading in message.readings]
    if isinstance(message, Heartbeat):
        return Kind.STATUS_VALUE, _signs_of(message).keys()
    return Kind.STATUS_VALUE, ()


def _signs_of(heartbeat: Heartbeat) -> dict[str, str]:
    """The status values of a sign of life, as pages and metrics have always read them."""
    name = f"system_{heartbeat.name}"
    values = {name: heartbeat.status}
    if heartbeat.pid is not None:
        values[f"{name}_pid"] = heartbeat.pid
    return values


def _unknown_series(
    messages: Iterable[Taken],
    notable: Iterable[Taken],
    numbers: Mapping[str, int],
    register: Register,
) -> set[SeriesKey]:
    unknown: set[SeriesKey] = set()
    for taken in (*messages, *notable):
        kind, names = _kind_and_names(taken.message)
        instrument = numbers[_owner(taken).instrument]
        known = register.known(instrument, kind)
        unknown.update(SeriesKey(instrument, kind, name) for name in names if name not in known)
    return unknown


def _of_unknown_series(
    messages: Iterable[Taken], numbers: Mapping[str, int], register: Register
) -> list[Unread]:
    """Those with values that may not be kept; the others of their values are."""
    return [
        Unread(taken.destination, _TOO_MANY_VALUES, taken.body)
        for taken in messages
        if isinstance(taken.message, StatusValues)
        and taken.message.values.keys()
        - register.known(numbers[_owner(taken).instrument], Kind.STATUS_VALUE).keys()
    ]


def _rows(
    messages: Iterable[Taken],
    notable: Iterable[Taken],
    numbers: Mapping[str, int],
    register: Register,
) -> _Rows:
    rows = _Rows()
    for taken in messages:
        message = taken.message
        instrument = numbers[message.topic.instrument]
        if isinstance(message, StatusValues):
            rows.add_values(taken, message, register.known(instrument, Kind.STATUS_VALUE))
        elif isinstance(message, PvReadings):
            rows.add_readings(taken, message, register.known(instrument, Kind.PV))
    for taken in notable:
        if isinstance(taken.message, Heartbeat):
            _add_signs(rows, taken, taken.message, numbers, register)
    return rows


def _add_signs(
    rows: _Rows,
    taken: Taken,
    heartbeat: Heartbeat,
    numbers: Mapping[str, int],
    register: Register,
) -> None:
    instrument = heartbeat.topic.instrument
    rows.instruments.add(instrument)
    names = register.known(numbers[instrument], Kind.STATUS_VALUE)
    for name, came in _signs_of(heartbeat).items():
        rows.add_newest(taken, heartbeat.at, names.get(name, NOT_RECORDED), came)


def _write_rows(cursor: CursorWrapper, rows: _Rows) -> None:
    if rows.samples:
        # Else the errors of COPY were psycopg's, and nobody knew that the database is away.
        with connection.wrap_database_errors, cursor.copy(INGEST["samples"]) as copy:
            copy.write("".join(rows.samples))
    if rows.newest:
        _, at, received_at, came, statuses = zip(*rows.newest.values(), strict=True)
        values, texts = zip(*map(read, came), strict=True)
        columns = {
            "series": _array(map(str, rows.newest)),
            "at": _array(at),
            "received_at": _array(received_at),
            "values": _array(values),
            "texts": _array(None if text is None else _quoted(text) for text in texts),
            "statuses": _array(None if status is None else str(status) for status in statuses),
        }
        cursor.execute(INGEST["latest"], columns)


def _array(elements: Iterable[str | None]) -> str:
    """An array as PostgreSQL writes it: psycopg's own takes longer than all the rest."""
    return f"{{{','.join(['NULL' if each is None else each for each in elements])}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_components(
    cursor: CursorWrapper, notable: Iterable[Taken], numbers: Mapping[str, int]
) -> None:
    signs = {
        (each.message.topic.instrument, each.message.name): each
        for each in notable
        if isinstance(each.message, Heartbeat)
    }
    if signs:
        cursor.execute(INGEST["components"], _components(signs.values(), numbers))
    answers = {each.message.name: each for each in notable if isinstance(each.message, Answer)}
    if answers:
        columns = _components(answers.values(), numbers)
        columns["delays"] = [_delay(each) for each in answers.values()]
        cursor.execute(INGEST["answers"], columns)


def _components(takens: Iterable[Taken], numbers: Mapping[str, int]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        name: [] for name in ("instruments", "names", "statuses", "pids", "heard_at", "periods")
    }
    for taken in takens:
        message = taken.message
        if isinstance(message, Heartbeat | Answer):
            columns["instruments"].append(numbers[message.topic.instrument])
            columns["names"].append(message.name)
            columns["statuses"].append(message.status)
            columns["pids"].append(message.pid)
            columns["heard_at"].append(datetime.fromtimestamp(taken.received_at, UTC))
            columns["periods"].append(_period(message))
    return columns


def _period(message: Heartbeat | Answer) -> timedelta:
    if isinstance(message, Answer):
        return PERIOD if message.is_workflow_manager else PERIOD_OF_AGENTS
    return PERIOD_OF_AGENTS if message.topic.is_from_agent else PERIOD


def _delay(taken: Taken) -> timedelta | None:
    message = taken.message
    if not isinstance(message, Answer) or message.asked_at is None:
        return None
    return timedelta(seconds=max(0.0, taken.received_at - message.asked_at))


def _write_gaps(cursor: CursorWrapper, gaps: Iterable[Missing], numbers: Mapping[str, int]) -> None:
    for gap in gaps:
        row = {
            "instrument": numbers.get(gap.instrument) if gap.instrument else None,
            "began_at": datetime.fromtimestamp(gap.began_at, UTC),
            "ended_at": datetime.fromtimestamp(gap.ended_at, UTC),
            "lost": gap.lost,
            "reason": gap.reason,
        }
        cursor.execute(INGEST["gap_grown"], row)
        if cursor.rowcount == 0:
            cursor.execute(INGEST["new_gap"], row)


def _write_unread(cursor: CursorWrapper, unread: Iterable[Unread]) -> None:
    merged: dict[tuple[str, str], Unread] = {}
    for each in unread:
        key = (each.destination, each.reason)
        times = each.times + (merged[key].times if key in merged else 0)
        merged[key] = Unread(each.destination, each.reason, each.body, times)
    if not merged:
        return
    cursor.execute(
        INGEST["unread"],
        {
            "destinations": [each.destination for each in merged.values()],
            "reasons": [each.reason for each in merged.values()],
            "times": [each.times for each in merged.values()],
            "bodies": [each.body for each in merged.values()],
        },
    )
    cursor.execute(INGEST["forget_unread"], {"most": _MOST_UNREAD_ROWS})
