"""Bytes to messages: liberal in what is accepted; what is no message says why in a sentence.

Numbers are kept as the text that came, so nothing is lost of them and strings are the same.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.topics import Topic, What
from dasmon_listener.protocol.messages import (
    Answer,
    Heartbeat,
    Message,
    PvReading,
    PvReadings,
    RunNote,
    ScriptResult,
    Signal,
    StatusValues,
)

OLDEST_SIGNAL = timedelta(hours=1)

_LARGEST_BODY = 1024 * 1024
_LONGEST_NAME = 2_000  # bytes; PostgreSQL indexes no longer ones
_LONGEST_SECONDS = 1e11  # the year 5138; a larger number counts something shorter
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
_SMALLEST_STATUS, _LARGEST_STATUS = -(2**31), 2**31 - 1

_as_written = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_as_python = json.JSONDecoder()


class UnreadableError(ValueError):
    """A body that is no message; the text says why, in a sentence."""


def decode(topic: Topic, body: bytes, now: datetime) -> Message:
    """Read what arrived on a topic at `now`.

    Raises:
        UnreadableError: it is no message of this topic.
    """
    if topic.what is What.RUN_NOTE:
        return RunNote(topic)
    if topic.what is What.PVS:
        return _pvs(topic, body)
    content = _object(body)
    if topic.what is What.VALUES:
        return _values(topic, content, body)
    if topic.what is What.SIGNAL:
        return _signal(topic, content, now)
    return _sign(topic, content)


def seconds(value: object) -> float | None:
    """Seconds since 1970 of a number or text in seconds, ms, µs or ns; None if it is no time."""
    if type(value) is float and 0 < value <= _LONGEST_SECONDS:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not 0 < number < 1e20:
        return None
    while number > _LONGEST_SECONDS:
        number /= 1000
    return number


def _object(body: bytes) -> dict[str, Any]:
    content = _parsed(_text(body), _as_written)
    if not isinstance(content, dict):
        raise UnreadableError("The JSON is no object with keys.")
    return content


def _text(body: bytes) -> str:
    if len(body) > _LARGEST_BODY:
        raise UnreadableError(f"The body has more than {_LARGEST_BODY} bytes.")
    try:
        return body.decode("utf-8-sig" if body[:1] == b"\xef" else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise UnreadableError("The body is not UTF-8 text.") from error


def _parsed(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        content = decoder.decode(text)
    except RecursionError as error:
        raise UnreadableError("The JSON is nested too deeply.") from error
    except ValueError as error:
        raise UnreadableError("The body is no JSON.") from error
    if "\\u" in text and _UNKEEPABLE.search(_flat(content)):
        raise UnreadableError("A text holds a NUL character or half a surrogate pair.")
    return content


def _flat(content: Any) -> str:
    """All texts of the content in one."""
    waiting, found = [content], []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found.append(value)
    return " ".join(found)


def _values(topic: Topic, content: dict[str, Any], body: bytes) -> StatusValues:
    at = seconds(content.get("timestamp"))
    if not all(type(value) is str for value in content.values()):
        content = _as_text(content, body)
    _require_names(content)
    return StatusValues(topic, at, content)


def _require_names(names: Any) -> None:
    for name in names:
        if len(name) * 4 > _LONGEST_NAME and len(name.encode()) > _LONGEST_NAME:
            raise UnreadableError(f"The name of a value has more than {_LONGEST_NAME} bytes.")


def _as_text(content: dict[str, Any], body: bytes) -> dict[str, str]:
    """Each value as Python writes it: `True`, `None`, `[1, 2]`; monitors by their numbers."""
    values: dict[str, str] = {}
    written: dict[str, Any] = {}  # the same as Python has it, read once: that takes its time
    for name, value in content.items():
        if type(value) is str:
            values[name] = value
        elif name == "monitors" and isinstance(value, dict):
            values |= _monitors(value)
        elif isinstance(value, dict | list):
            written = written or _parsed(_text(body), _as_python)
            values[name] = str(written[name])
        else:
            values[name] = str(value)
    return values


def _monitors(monitors: dict[str, Any]) -> dict[str, str]:
    counts: dict[str, str] = {}
    for name, entry in monitors.items():
        if isinstance(entry, dict) and {"id", "counts"} <= entry.keys():
            counts[f"{name}_count_{entry['id']}"] = str(entry["counts"])
        else:
            counts[f"monitor_count_{name}"] = str(entry)
    return counts


def _sign(topic: Topic, content: dict[str, Any]) -> Message:
    if topic.what is What.ANSWER:
        return _answer(topic, content)
    if topic.what is What.HEARTBEAT:
        return _heartbeat(topic, content)
    at = seconds(content.get("timestamp"))
    return ScriptResult(topic, at, _sender(content), _required(content, "status"))


def _heartbeat(topic: Topic, content: dict[str, Any]) -> Heartbeat:
    status = _required(content, "status")
    at = seconds(content.get("timestamp"))
    if topic.process:
        return Heartbeat(topic, at, topic.process, status, None)
    pid = content.get("pid")
    return Heartbeat(topic, at, _sender(content), status, None if pid is None else str(pid))


def _required(content: dict[str, Any], key: str) -> str:
    if key not in content:
        raise UnreadableError(f"It has no {key}.")
    return str(content[key])


def _sender(content: dict[str, Any]) -> str:
    """The name of a process without the number of its first instance: `DASMON_0` is `dasmon`."""
    name = content.get("src_id") or content.get("src_name")
    if not isinstance(name, str) or not name:
        raise UnreadableError("It has neither src_id nor src_name.")
    _require_names([name])
    return name.lower().removesuffix(".0").removesuffix("_0")


def _signal(topic: Topic, content: dict[str, Any], now: datetime) -> Signal:
    name = _required(content, "sig_name")
    if not name:
        raise UnreadableError("Its sig_name is empty.")
    told = seconds(content.get("timestamp"))
    sent_at = now if told is None else datetime.fromtimestamp(told, UTC)
    sent_at = min(sent_at, now)
    level = _level(content["sig_level"]) if "sig_level" in content else None
    if level is not None and now - sent_at > OLDEST_SIGNAL:
        raise UnreadableError("The signal is more than an hour old.")
    source, words = content.get("sig_source", ""), content.get("sig_message", "")
    report = SignalReport(topic.instrument, name, level, str(source), str(words), sent_at)
    return Signal(topic, report)


def _level(value: object) -> Level:
    try:
        return Level(int(str(value)))
    except ValueError as error:
        raise UnreadableError("Its sig_level is no number from 0 to 5.") from error


def _answer(topic: Topic, content: dict[str, Any]) -> Answer:
    status, pid = str(content.get("status", "")), str(content.get("pid", ""))
    is_workflow_manager = content.get("role") == "workflow_manager"
    asked_at = seconds(content.get("request_time"))
    return Answer(topic, _sender(content), status, pid, is_workflow_manager, asked_at)


def _pvs(topic: Topic, body: bytes) -> PvReadings:
    content = _parsed(_text(body), _as_python)
    values = content.get("values") if isinstance(content, dict) else None
    if not isinstance(values, list):
        raise UnreadableError('It has no list "values".')
    told = seconds(content.get("timestamp"))
    try:
        readings = [_pv(each, told) for each in values]
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError('Of "values" one is no object with a name and a value.') from error
    _require_names([each.name for each in readings])
    return PvReadings(topic, readings)


def _pv(reading: dict[str, Any], told: float | None) -> PvReading:
    name, value = reading["name"], reading["value"]
    if type(name) is not str:
        raise TypeError("a name is a text")
    at = seconds(reading.get("timestamp"))
    status = reading.get("status")
    return PvReading(name, _pv_value(value), _status(status), told if at is None else at)


def _pv_value(value: object) -> str | None:
    return value if value is None or type(value) is str else _written(value)


def _written(value: object) -> str:
    """A number in the shortest words: what it came as is nobody's interest."""
    return repr(value).removesuffix(".0") if type(value) is float else str(value)


def _status(value: object) -> int | None:
    """The status code of a PV; None for none, or for one that no data acquisition has."""
    if value is None:
        return None
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if _SMALLEST_STATUS <= number <= _LARGEST_STATUS else None
