"""Bytes to messages and back: liberal in what is accepted, strict in what is sent.

A body is a JSON object, or the bare path of a data file. Whatever cannot be understood raises
`DecodeError`, which keeps the bytes and says in one sentence what is wrong and where. The
sentence quotes as JSON does, and no more of a value than a log line can show.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from workflow_manager.domain import destinations as names
from workflow_manager.protocol.messages import JobReference, RunMessage


@dataclass(frozen=True, slots=True)
class _NameShape:
    """Names become folders, URLs and keys: letters, digits, and single marks inside."""

    pattern: re.Pattern[str]
    words: str


_INSTRUMENT = _NameShape(
    re.compile(r"[a-z][a-z0-9_-]{0,39}", re.IGNORECASE | re.ASCII),
    "a letter of a to z, then up to 39 letters, digits, - or _",
)
_PROPOSAL = _NameShape(
    re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9_.-]{0,63}", re.IGNORECASE | re.ASCII),
    "a letter of a to z or a digit, then up to 63 letters, digits, -, _ or single dots",
)
_FACILITY = _INSTRUMENT

# Second tokens of topics that belong to no instrument; `common` is for central services.
_NO_INSTRUMENTS = frozenset({"app", "common", "input", "log", "signal", "status"})

_RUN_NUMBER = re.compile(r"\s*\+?\d{1,20}\s*")
_LARGEST_RUN_NUMBER = 2**31 - 1
_RUN_NUMBER_IN_FILE_NAME = re.compile(r"[_.](\d+)", re.ASCII)

_LONGEST_PATH = 4096
# Control characters and those that turn the direction of writing hide what a path is.
_HIDING = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

_LARGEST_BODY = 1024 * 1024
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
# JSON of this depth says nothing about a run, and would end Python's parser.
_DEEPEST = 100
_TOO_DEEP = f"The JSON is nested more than {_DEEPEST} levels deep."
# Python refuses to read or write whole numbers of more than some thousand digits.
_MOST_DIGITS = 1000
# Legal for JSON's parser and for nobody else.
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_LONGEST_QUOTE = 200
_WORD = re.compile(r"[\w-]{1,200}")


class DecodeError(Exception):
    """A body that is not a message; it keeps the bytes and the reason."""

    def __init__(self, body: bytes, reason: str) -> None:
        super().__init__(reason)
        self.body = body
        self.reason = reason


def decode(destination: str, body: bytes, facility_root: PurePosixPath) -> RunMessage:
    """Read a body that arrived on a queue of the workflow or on an SMS topic.

    The message's body is what arrived, but blanks around names and paths are taken off, and a
    run number such as `" 12 "` or `12.0` is written as 12: agents could not read them.

    Args:
        destination: as delivered, with or without prefix.
        body: the bytes.
        facility_root: where the facility's tree is on this machine. A path in the message may
            carry it in front or be as on the facility; the message has it as on the facility.

    Raises:
        DecodeError: the body is no message about a run.
    """
    try:
        content = _object(_text(body), facility_root)
        if names.is_sms_topic(destination):
            content = _with_sms_meaning(destination, content)
        return _message(destination, _plain(content), facility_root)
    except _UnusableError as problem:
        raise DecodeError(body, str(problem)) from problem


def encode(content: Mapping[str, Any]) -> bytes:
    """Write a body: strict JSON in UTF-8.

    Raises:
        ValueError: it holds a number that JSON does not know (NaN, infinity).
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")


def facility_path(path: str, facility_root: PurePosixPath) -> str:
    """The path as on the facility, `/SNS/ARCS/…`, whether or not the root stands in front."""
    root = str(facility_root)
    if root != "/" and path.startswith(root + "/"):
        return path[len(root) :]
    return path


def sent_at(body: Mapping[str, Any], headers: Mapping[str, str]) -> datetime | None:
    """When the sender says that it sent: seconds in the body, or milliseconds in the header."""
    for value, unit in ((body.get("timestamp"), 1.0), (headers.get("timestamp"), 1000.0)):
        try:
            return datetime.fromtimestamp(float(value) / unit, UTC)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, OSError):
            continue
    return None


class _UnusableError(ValueError):
    pass


def _text(body: bytes) -> str:
    if len(body) > _LARGEST_BODY:
        raise _UnusableError(
            f"The body has {len(body)} bytes; a message about a run has at most {_LARGEST_BODY}."
        )
    if body.startswith(_BYTE_ORDER_MARKS) or body[:4].count(0) in (2, 3):
        raise _UnusableError("The body is UTF-16 or UTF-32 text; a message is UTF-8.")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _UnusableError(
            f"The body is not UTF-8 text: byte {body[error.start]:#04x} at {error.start} is wrong."
        ) from error
    if not text:
        raise _UnusableError("The body is empty.")
    return text


def _object(text: str, facility_root: PurePosixPath) -> dict[str, Any]:
    if text.startswith("/"):
        return _from_path(text, facility_root)
    numbers = _Numbers()
    content = _json(text, numbers)
    # Looking at each value takes longer than all the rest; it is for those who give a reason to.
    is_deep = text.count("{") + text.count("[") > _DEEPEST
    if numbers.have_unusable or is_deep or "\\u" in text:
        _refuse_what_cannot_be_kept(content)
    if not isinstance(content, dict):
        raise _UnusableError(f"The JSON is {_kind(content)}, not an object with keys.")
    return content


@dataclass(frozen=True, slots=True)
class _UnusableNumber:
    """Stands where the JSON has a number that cannot be kept, until its key is known."""

    problem: str


class _Numbers:
    """Reads the numbers of one JSON text."""

    def __init__(self) -> None:
        self.have_unusable = False

    def whole(self, digits: str) -> int | _UnusableNumber:
        if len(digits) <= _MOST_DIGITS:
            return int(digits)
        return self._unusable(f"is a number of {len(digits)} digits, too large to be kept")

    def decimal(self, digits: str) -> float | _UnusableNumber:
        number = float(digits)
        if math.isfinite(number):
            return number
        return self._unusable(f"is {_shortened(digits)}, a number too large to be kept")

    def constant(self, name: str) -> _UnusableNumber:
        return self._unusable(f"is {name}, which is no JSON number")

    def _unusable(self, problem: str) -> _UnusableNumber:
        self.have_unusable = True
        return _UnusableNumber(problem)


def _json(text: str, numbers: _Numbers) -> Any:
    try:
        return json.loads(
            text,
            parse_int=numbers.whole,
            parse_float=numbers.decimal,
            parse_constant=numbers.constant,
        )
    except RecursionError as error:
        raise _UnusableError(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise _UnusableError(
            f"The body is neither JSON ({error}) nor the absolute path of a data file."
        ) from error


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _quoted(value)
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a number"


# The keys on the way to a value, the last one first: its name is made only when it is wanted.
_Place = tuple[Any, str | int] | None


def _refuse_what_cannot_be_kept(content: Any) -> None:
    """Lone surrogates, NUL and numbers out of range: what neither database nor agents take."""
    waiting: list[tuple[_Place, int, Any]] = [(None, 0, content)]
    while waiting:
        place, depth, value = waiting.pop()
        if depth > _DEEPEST:
            raise _UnusableError(_TOO_DEEP)
        if isinstance(value, str):
            _refuse_bad_text(value, place)
        elif isinstance(value, _UnusableNumber):
            raise _UnusableError(f"{_name_of(place)} {value.problem}.")
        else:
            for key, item in _inside(value):
                if isinstance(key, str):
                    _refuse_bad_text(key, (place, key))
                waiting.append(((place, key), depth + 1, item))


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _refuse_bad_text(value: str, place: _Place) -> None:
    found = _UNKEEPABLE.search(value)
    if found is None:
        return
    what = "a NUL character" if found[0] == "\0" else "half a surrogate pair"
    raise _UnusableError(f"{_name_of(place)} holds {what}, which no path or name can have.")


def _name_of(place: _Place) -> str:
    """The place in the JSON as one writes it: `monitors.beam[2]["first try"]`."""
    steps: list[str] = []
    while place is not None:
        place, key = place
        is_word = isinstance(key, str) and _WORD.fullmatch(key)
        steps.append(f".{key}" if is_word else f"[{_quoted(key)}]")
    return _shortened("".join(reversed(steps)).removeprefix(".")) or "The JSON"


def _quoted(value: Any) -> str:
    """The value as JSON."""
    return _shortened(json.dumps(value, ensure_ascii=False))


def _shortened(text: str) -> str:
    """So much of a text as a log line can show, with what does not print made visible."""
    shown = "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in text[:_LONGEST_QUOTE]
    )
    is_whole = max(len(text), len(shown)) <= _LONGEST_QUOTE
    return shown if is_whole else f"{shown[:_LONGEST_QUOTE]}… ({len(text)} characters)"


def _from_path(text: str, facility_root: PurePosixPath) -> dict[str, Any]:
    """`/<facility>/<INSTRUMENT>/<proposal>/…/<INSTRUMENT>_<run>…` says all of a run."""
    _refuse_long_path("The path", text)
    path = facility_path(text, facility_root)
    tokens = path.split("/")
    if len(tokens) < 6:
        raise _UnusableError(
            f"The path {_quoted(text)} is too short to be "
            "/<facility>/<instrument>/<proposal>/<folder>/<instrument>_<run number>."
        )
    return {
        "facility": tokens[1].upper(),
        "instrument": tokens[2].lower(),
        "ipts": tokens[3].lower(),
        "data_file": path,
        "run_number": _run_number_in(tokens, text),
    }


def _run_number_in(tokens: list[str], text: str) -> int | str:
    # The whole instrument name is taken off first: REF_L has an underscore of its own.
    instrument = tokens[2].lower()
    numbers = [
        found[1]
        for token in tokens[4:]
        if token[: len(instrument)].lower() == instrument
        and (found := _RUN_NUMBER_IN_FILE_NAME.match(token, len(instrument)))
    ]
    if not numbers:
        raise _UnusableError(
            f"The path {_quoted(text)} holds no run number: no part after the proposal is "
            "<instrument>_<run number>."
        )
    number = _whole_number(numbers[-1])
    return numbers[-1] if number is None else number


def _with_sms_meaning(destination: str, content: dict[str, Any]) -> dict[str, Any]:
    """SMS puts the beam line's number into `instrument`; the topic has its name."""
    instrument = _instrument_of_topic(destination)
    missing = [k for k in ("run_number", "msg_type", "reason", "ipts") if k not in content]
    if missing:
        raise _UnusableError(f"The SMS message lacks {', '.join(missing)}; it is about no run.")
    return content | {
        "facility": content.get("facility") or names.facility_of_topic(destination),
        "instrument": instrument,
        "information": content["reason"],
    }


def _instrument_of_topic(destination: str) -> str:
    """The instrument of `<facility>.<INSTRUMENT>.APP.SMS`, which is no place for anything else."""
    tokens = names.bare_name(destination).split(".")
    instrument = tokens[1].lower() if len(tokens) == 4 else ""
    if not _INSTRUMENT.pattern.fullmatch(instrument) or instrument in _NO_INSTRUMENTS:
        raise _UnusableError(
            f"The topic {_quoted(destination)} names no instrument: it must be "
            "<facility>.<instrument>.APP.SMS."
        )
    return instrument


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Without what is around the values that say which run it is."""
    texts = {
        key: content[key].strip()
        for key in ("facility", "instrument", "ipts", "data_file")
        if isinstance(content.get(key), str)
    }
    return {**content, **texts, **_plain_run_number(content.get("run_number"))}


def _plain_run_number(value: Any) -> dict[str, int]:
    number = _whole_number(value)
    is_plain = isinstance(value, int) or (isinstance(value, str) and re.fullmatch("[0-9]+", value))
    return {} if number is None or is_plain else {"run_number": number}


def _message(destination: str, content: dict[str, Any], root: PurePosixPath) -> RunMessage:
    is_sms = names.is_sms_topic(destination)
    queue = names.SMS if is_sms else names.bare_name(destination)
    instrument = _name(content, "instrument", _INSTRUMENT).lower()
    run_number = _run_number(content)
    proposal = _name(content, "ipts", _PROPOSAL).upper()
    data_file = "" if is_sms else facility_path(_data_file(content), root)
    if queue == names.POSTPROCESS_DATA_READY and not data_file:
        raise _UnusableError("data_file is missing: the run's data cannot be found without it.")
    return RunMessage(
        queue=queue,
        instrument=instrument,
        run_number=run_number,
        proposal=proposal,
        facility=_facility(content, data_file),
        data_file=data_file,
        information=_optional_text(content, "information"),
        error=_optional_text(content, "error"),
        job=_job(content),
        body=content,
    )


def _name(content: dict[str, Any], key: str, shape: _NameShape) -> str:
    value = _required(content, key)
    if not isinstance(value, str):
        raise _UnusableError(f"{key} is {_quoted(value)}, not a text.")
    if not shape.pattern.fullmatch(value):
        raise _UnusableError(f"{key} is {_quoted(value)}, which is not a name: {shape.words}.")
    return value


def _required(content: dict[str, Any], key: str) -> Any:
    if key not in content:
        raise _UnusableError(f"{key} is missing.")
    if content[key] is None:
        raise _UnusableError(f"{key} is null.")
    return content[key]


def _run_number(content: dict[str, Any]) -> int:
    value = _required(content, "run_number")
    number = _whole_number(value)
    if number is None or not 0 <= number <= _LARGEST_RUN_NUMBER:
        raise _UnusableError(
            f"run_number is {_quoted(value)}, not a whole number from 0 to {_LARGEST_RUN_NUMBER}."
        )
    return number


def _whole_number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and _RUN_NUMBER.fullmatch(value):
        return int(value)
    return None


def _data_file(content: dict[str, Any]) -> str:
    value = content.get("data_file")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _UnusableError(f"data_file is {_quoted(value)}, not a path.")
    _refuse_long_path("data_file", value)
    found = _HIDING.search(value)
    if found:
        raise _UnusableError(
            f"data_file is {_quoted(value)}, with U+{ord(found[0]):04X}, which is in no path."
        )
    if ".." in value.split("/"):
        raise _UnusableError(f"data_file is {_quoted(value)}, which climbs with '..'.")
    return value


def _refuse_long_path(name: str, path: str) -> None:
    if len(path) > _LONGEST_PATH:
        raise _UnusableError(f"{name} has {len(path)} characters; no path is that long.")


def _facility(content: dict[str, Any], data_file: str) -> str:
    if content.get("facility") not in (None, ""):
        return _name(content, "facility", _FACILITY).upper()
    first = data_file.split("/")[1] if data_file.startswith("/") else ""
    return first.upper() if _FACILITY.pattern.fullmatch(first) else ""


def _optional_text(content: dict[str, Any], key: str) -> str | None:
    value = content.get(key)
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _job(content: dict[str, Any]) -> JobReference | None:
    job_id, attempt = (_whole_number(content.get(key)) for key in ("job_id", "attempt"))
    if job_id is None or attempt is None or max(job_id, attempt) > 2**63 - 1:
        return None
    return JobReference(job_id, attempt)
