"""Bytes to messages and back: liberal in what is accepted, strict in what is sent.

A body is a JSON object, or the bare path of a data file. Whatever cannot be understood raises
`DecodeError`, which keeps the bytes and says in one sentence what is wrong and what to do.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NoReturn

from workflow_manager.domain import destinations as names
from workflow_manager.protocol.messages import JobReference, RunMessage

# Names become folders, URLs and keys: letters, digits, and single marks inside.
_INSTRUMENT = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.IGNORECASE | re.ASCII)
_PROPOSAL = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9_.-]{0,63}", re.IGNORECASE | re.ASCII)
_FACILITY = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.IGNORECASE | re.ASCII)
_LARGEST_RUN_NUMBER = 2**31 - 1
_LONGEST_PATH = 4096
_LARGEST_BODY = 1024 * 1024

# JSON of this depth says nothing about a run, and would end Python's parser.
_DEEPEST = 100


class DecodeError(Exception):
    """A body that is not a message; it keeps the bytes and the reason."""

    def __init__(self, body: bytes, reason: str) -> None:
        super().__init__(reason)
        self.body = body
        self.reason = reason


def decode(destination: str, body: bytes, facility_root: PurePosixPath) -> RunMessage:
    """Read a body that arrived on a queue of the workflow or on an SMS topic.

    Args:
        destination: as delivered, with or without prefix.
        body: the bytes.
        facility_root: where the facility's tree is on this machine. A path in the message may
            carry it in front or be as on the facility; the message has it as on the facility.

    Raises:
        DecodeError: the body is no message about a run.
    """
    try:
        content = _object(body, facility_root)
        if names.is_sms_topic(destination):
            content = _with_sms_meaning(destination, content)
        return _message(destination, content, facility_root)
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


def _object(body: bytes, facility_root: PurePosixPath) -> dict[str, Any]:
    if len(body) > _LARGEST_BODY:
        raise _UnusableError(
            f"The body has {len(body)} bytes; a message about a run has at most {_LARGEST_BODY}."
        )
    try:
        text = body.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _UnusableError(f"The body is not UTF-8 text: {error}.") from error
    if text.startswith("/"):
        return _from_path(text, facility_root)
    try:
        content = json.loads(text, parse_constant=_no_number)
        _refuse_what_cannot_be_kept(content)
    except RecursionError as error:
        raise _UnusableError("The JSON is nested too deeply to be about a run.") from error
    except json.JSONDecodeError as error:
        raise _UnusableError(
            f"The body is neither JSON ({error}) nor the absolute path of a data file."
        ) from error
    except ValueError as error:
        raise _UnusableError(f"The JSON cannot be used: {error}") from error
    if not isinstance(content, dict):
        raise _UnusableError(f"The JSON is a {type(content).__name__}, not an object with keys.")
    return content


def _no_number(constant: str) -> NoReturn:
    raise _UnusableError(f"The JSON holds {constant}, which is not a JSON number.")


def _refuse_what_cannot_be_kept(value: Any, depth: int = 0) -> None:
    """Lone surrogates, NUL and infinite numbers are legal for the parser and for nobody else."""
    if depth > _DEEPEST:
        raise _UnusableError(f"The JSON is nested more than {_DEEPEST} levels deep.")
    if isinstance(value, str):
        _refuse_bad_text(value)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise _UnusableError("The JSON holds a number too large to be a number.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_bad_text(key)
            _refuse_what_cannot_be_kept(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _refuse_what_cannot_be_kept(item, depth + 1)


def _refuse_bad_text(value: str) -> None:
    if "\0" in value:
        raise _UnusableError("The JSON holds a NUL character, which no path or name can have.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _UnusableError("The JSON holds half a surrogate pair, which is no character.")


def _from_path(text: str, facility_root: PurePosixPath) -> dict[str, Any]:
    """`/<facility>/<INSTRUMENT>/<proposal>/…/<INSTRUMENT>_<run>…` says all of a run."""
    _refuse_bad_text(text)
    path = facility_path(text, facility_root)
    tokens = path.split("/")
    if len(tokens) < 6:
        raise _UnusableError(
            f"The path {text!r} is too short: it must be "
            "/<facility>/<instrument>/<proposal>/<folder>/<instrument>_<run>…"
        )
    return {
        "facility": tokens[1].upper(),
        "instrument": tokens[2].lower(),
        "ipts": tokens[3].lower(),
        "data_file": path,
        "run_number": _run_number_in(tokens, text),
    }


def _run_number_in(tokens: list[str], text: str) -> int:
    # The whole instrument name is taken off first: REF_L has an underscore of its own.
    pattern = re.compile(re.escape(tokens[2]) + r"[_.](\d+)(?:\D|$)", re.IGNORECASE | re.ASCII)
    numbers = [int(found[1]) for token in tokens[4:] if (found := pattern.match(token))]
    if not numbers:
        raise _UnusableError(
            f"The path {text!r} holds no run number: no part is {tokens[2]}_<run number>."
        )
    return numbers[-1]


def _with_sms_meaning(destination: str, content: dict[str, Any]) -> dict[str, Any]:
    """SMS puts the beam line's number into `instrument`; the topic has its name."""
    missing = [k for k in ("run_number", "msg_type", "reason", "ipts") if k not in content]
    if missing:
        raise _UnusableError(f"The SMS message lacks {', '.join(missing)}; it is about no run.")
    return (
        {"facility": names.facility_of_topic(destination)}
        | content
        | {
            "instrument": names.instrument_of_topic(destination),
            "information": content["reason"],
        }
    )


def _message(destination: str, content: dict[str, Any], root: PurePosixPath) -> RunMessage:
    is_sms = names.is_sms_topic(destination)
    queue = names.SMS if is_sms else names.bare_name(destination)
    data_file = "" if is_sms else facility_path(_path(content), root)
    if queue == names.POSTPROCESS_DATA_READY and not data_file:
        raise _UnusableError("data_file is missing: the run's data cannot be found without it.")
    return RunMessage(
        queue=queue,
        instrument=_name(content, "instrument", _INSTRUMENT).lower(),
        run_number=_run_number(content),
        proposal=_name(content, "ipts", _PROPOSAL).upper(),
        facility=_facility(content, data_file),
        data_file=data_file,
        information=_optional_text(content, "information"),
        error=_optional_text(content, "error"),
        job=_job(content),
        body=content,
    )


def _name(content: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = content.get(key)
    if value is None:
        raise _UnusableError(f"{key} is missing.")
    if not isinstance(value, str):
        raise _UnusableError(f"{key} is {value!r}, not a text.")
    if not pattern.fullmatch(value):
        raise _UnusableError(f"{key} is {value!r}, which is not a name.")
    return value


def _run_number(content: dict[str, Any]) -> int:
    value = content.get("run_number")
    if value is None:
        raise _UnusableError("run_number is missing.")
    number = _whole_number(value)
    if number is None or not 0 <= number <= _LARGEST_RUN_NUMBER:
        raise _UnusableError(
            f"run_number is {value!r}, not a whole number from 0 to {_LARGEST_RUN_NUMBER}."
        )
    return number


def _whole_number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,20}\s*", value, re.ASCII):
        return int(value)
    return None


def _path(content: dict[str, Any]) -> str:
    value = content.get("data_file", "")
    if not isinstance(value, str):
        raise _UnusableError(f"data_file is {value!r}, not a path.")
    if len(value) > _LONGEST_PATH:
        raise _UnusableError(f"data_file has {len(value)} characters; no path is that long.")
    return value


def _facility(content: dict[str, Any], data_file: str) -> str:
    value = content.get("facility")
    if value is None and data_file.startswith("/"):
        value = data_file.split("/")[1]
    if isinstance(value, str) and _FACILITY.fullmatch(value):
        return value.upper()
    if not value:
        return ""
    raise _UnusableError(f"facility is {value!r}, which is not a name.")


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
