"""What a job's message asks for: bytes to a dictionary, and the dictionary to files of a run."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from workflow_manager.domain.destinations import bare_name
from workflow_manager.protocol.codec import encode, facility_path

_PLAIN_NAME = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9_.-]{0,99}")
_LONGEST_PATH = 4096
# JSON of this depth says nothing about a run, and would end Python's parser or writer.
_DEEPEST = 100


class UnreadableBodyError(Exception):
    """The body is no JSON object; there is nobody to reply to."""


class BadRequestError(Exception):
    """The message is a dictionary, but no job can be made of it; the text goes to its sender."""


def read(body: bytes) -> dict[str, Any]:
    """The dictionary of a message, in the order in which its keys came.

    Raises:
        UnreadableBodyError: it is none, or it could not be sent back.
    """
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_no_number)
        if isinstance(content, dict):
            _check_depth(content)
            encode(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"the body is not usable JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableBodyError(f"the body is a {type(content).__name__}, not an object")
    return content


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _check_depth(content: dict[str, Any]) -> None:
    level: list[Any] = [content]
    for _ in range(_DEEPEST + 1):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def job_key(queue: str, message_id: str, body: bytes, content: Mapping[str, Any]) -> str:
    """The identity of a job, good as a file name.

    The manager's job and attempt if the message names them: then a message that was sent twice
    is one job. Without them the broker's message id tells a redelivery from a new wish for the
    same run. The body is always a part of it: a manager with a new database, or one from a
    backup, gives the same numbers to other jobs.
    """
    job_id, attempt = content.get("job_id"), content.get("attempt")
    if job_id is not None and attempt is not None:
        identity = ["job", bare_name(queue), str(job_id), str(attempt), body.hex()]
    else:
        identity = ["message", bare_name(queue), message_id, body.hex()]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a job is about; `data_file` is where the file is on this machine."""

    facility: str
    instrument: str
    proposal: str
    run_number: str
    data_file: Path
    facility_root: Path

    @property
    def scripts(self) -> Path:
        return self._tree / "shared" / "autoreduce"

    @property
    def output(self) -> Path:
        return self._tree / self.proposal / "shared" / "autoreduce"

    @property
    def catalogue_path(self) -> str:
        """The data file as on the facility, which is how the catalogue knows it."""
        return facility_path(str(self.data_file), PurePosixPath(self.facility_root))

    @property
    def images(self) -> Path:
        return self._tree / self.proposal / "images"

    @property
    def _tree(self) -> Path:
        return self.facility_root / self.facility / self.instrument


def run_of(content: Mapping[str, Any], facility_root: Path) -> Run:
    """Check a message and find its file; the first thing that is wrong is told.

    Raises:
        BadRequestError: with the text for the reply.
    """
    data_file = _data_file(content.get("data_file"), facility_root)
    return Run(
        facility=_name(content, "facility", "Facility").upper(),
        instrument=_name(content, "instrument", "Instrument").upper(),
        proposal=_name(content, "ipts", "IPTS").upper(),
        run_number=_run_number(content),
        data_file=data_file,
        facility_root=facility_root,
    )


def _data_file(value: Any, facility_root: Path) -> Path:
    if value is None:
        raise BadRequestError("data_file is missing: None")
    text = str(value)
    if "\0" in text or len(text) > _LONGEST_PATH or not text.startswith("/"):
        raise BadRequestError(f"Data file open error for file {text}: it is no absolute path")
    path = facility_root / facility_path(text, PurePosixPath(facility_root)).lstrip("/")
    try:
        _check_is_inside(path, text, facility_root)
        _check_is_readable_file(path, text)
    except PermissionError as error:
        raise BadRequestError(f"Data file permission denied: {text}") from error
    except FileNotFoundError as error:
        raise BadRequestError(f"Data file not found: {text}") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise BadRequestError(f"Data file open error for file {text}") from error
    return path


def _check_is_inside(path: Path, text: str, facility_root: Path) -> None:
    if not path.resolve().is_relative_to(facility_root.resolve()):
        raise BadRequestError(f"Data file {text} is outside of the facility's tree")


def _check_is_readable_file(path: Path, text: str) -> None:
    # Opening is the only test that counts on a network file system; without blocking on a FIFO.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadRequestError(f"Data file open error for file {text}")
    finally:
        os.close(handle)


def _name(content: Mapping[str, Any], key: str, label: str) -> str:
    value = content.get(key)
    if value is None:
        raise BadRequestError(f"{label} is missing")
    if not _PLAIN_NAME.fullmatch(str(value)):
        raise BadRequestError(f"{label} is not a plain name: {value}")
    return str(value)


def _run_number(content: Mapping[str, Any]) -> str:
    if content.get("run_number") is None:
        raise BadRequestError("Run number is missing")
    return str(content["run_number"])
