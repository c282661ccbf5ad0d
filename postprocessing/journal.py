"""What the agent must not forget, in files: the reports of each job until they are confirmed.

    open/<key>.json      a job that is not settled: its reports, and which of them were confirmed
    settled/<key>.json   a job whose final report was confirmed; kept to recognise a redelivery
    results/<key>.*      how a program ended, written by its supervisor
    rejected/            bodies that could not be read

A change is written beside, made durable, and renamed over the old file; so a crash leaves the
state before or after it. One agent uses one directory; a lock sees to that.
"""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from workflow_manager.protocol.codec import encode

log = logging.getLogger(__name__)

_DAY = 86_400.0


class JournalInUseError(Exception):
    """Another agent uses this journal directory."""


@dataclass(frozen=True, slots=True)
class Report:
    """A message about a job. `destination` as it is sent, `body` a JSON object."""

    destination: str
    body: dict[str, Any]

    def encoded(self) -> bytes:
        return encode(self.body)


@dataclass(frozen=True, slots=True)
class Record:
    """A job's state. `confirmed` reports, counted from the first, are with the broker."""

    key: str
    at: float
    starts: int = 0
    reports: tuple[Report, ...] = field(default=())
    confirmed: int = 0
    is_ended: bool = False

    @property
    def unconfirmed(self) -> tuple[Report, ...]:
        return self.reports[self.confirmed :]


class Journal:
    """Thread-safe. All writing methods raise OSError when the disk does not take it."""

    def __init__(self, directory: Path, days: float) -> None:
        self._directory = directory
        self._days = days
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._lock_file: TextIOWrapper | None = None

    def open(self) -> None:
        """Take the directory, and read what an earlier agent left there.

        Raises:
            JournalInUseError: another agent has it.
            OSError: it cannot be made or used.
        """
        for name in ("open", "settled", "results", "rejected"):
            (self._directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = (self._directory / "agent.lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock_file.close()
            raise JournalInUseError(
                f"Another agent uses {self._directory}; give each agent a journal_directory."
            ) from error
        self._records = {record.key: record for record in self._stored()}

    def close(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()

    def results_of(self, key: str) -> Path:
        """A path to which a suffix for each program of the job is added."""
        return self._directory / "results" / key

    def unsettled(self) -> list[Record]:
        """All open records, oldest first."""
        with self._lock:
            return sorted(self._records.values(), key=lambda record: record.at)

    def record(self, key: str) -> Record | None:
        """The open record of a job."""
        with self._lock:
            return self._records.get(key)

    def is_settled(self, key: str) -> bool:
        return self._path("settled", key).exists()

    def begin(self, key: str, started: Report) -> Record:
        """A job starts here, perhaps again: nothing of its earlier start counts."""
        with self._lock:
            before = self._records.get(key)
            starts = before.starts + 1 if before else 1
            return self._keep(Record(key, time.time(), starts, (started,)))

    def finish(self, key: str, final: Report) -> Record:
        """A job's final report is known."""
        with self._lock:
            before = self._records.get(key) or Record(key, time.time())
            reports = (*before.reports, final)
            return self._keep(replace(before, reports=reports, is_ended=True))

    def confirm(self, key: str, number: int) -> Record | None:
        """The broker has `number` more reports of a job; None if the job was forgotten."""
        with self._lock:
            before = self._records.get(key)
            if before is None:
                return None
            # Losing this in a crash only sends a report twice, so it need not be durable.
            return self._keep(replace(before, confirmed=before.confirmed + number), durable=False)

    def settle(self, key: str) -> None:
        """All of a job's reports are confirmed: keep its name only. May be tried again."""
        with self._lock:
            self._drop_results(key)
            self._path("open", key).replace(self._path("settled", key))
            self._records.pop(key, None)

    def forget(self, key: str) -> None:
        """The agent stops before the job is finished: whoever gets it next starts afresh."""
        with self._lock:
            self._path("open", key).unlink(missing_ok=True)
            self._records.pop(key, None)
            self._drop_results(key)

    def reject(self, body: bytes, reason: str) -> Path:
        """Keep a body that could not be read, with the reason beside it."""
        path = self._directory / "rejected" / f"{time.time_ns()}.body"
        path.write_bytes(body)
        path.with_suffix(".reason").write_text(reason + "\n", encoding="utf-8")
        return path

    def prune(self) -> None:
        """Remove what is older than the days that it is kept; unsent reports stay for ever."""
        oldest = time.time() - self._days * _DAY
        for name in ("settled", "results", "rejected"):
            for path in (self._directory / name).iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()
        for record in self.unsettled():
            if record.at < oldest and not record.unconfirmed and not record.is_ended:
                self.forget(record.key)

    def _path(self, folder: str, key: str) -> Path:
        return self._directory / folder / f"{key}.json"

    def _drop_results(self, key: str) -> None:
        for path in (self._directory / "results").glob(f"{key}.*"):
            path.unlink(missing_ok=True)

    def _keep(self, record: Record, durable: bool = True) -> Record:
        path = self._path("open", record.key)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(encode(asdict(record)))
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
        if durable:
            _make_names_durable(path.parent)
        self._records[record.key] = record
        return record

    def _stored(self) -> Iterator[Record]:
        for path in sorted((self._directory / "open").glob("*.json")):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                reports = tuple(Report(**each) for each in content.pop("reports"))
                yield Record(**content, reports=reports)
            except (ValueError, KeyError, TypeError):
                # Someone edited it, or the disk lost it: kept, but it must not stop the agent.
                log.exception("%s is no record of a job and is put into rejected/", path)
                path.replace(self._directory / "rejected" / path.name)


def _make_names_durable(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
