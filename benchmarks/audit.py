"""Compares the manifest with runs, events, jobs, files, rejected messages and processes.

The manager takes in what the broker gave up on: a dead letter is a rejected message.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.storm import INSTRUMENT, PROPOSAL, Announcement
from tests.facility import Facility
from workflow_manager.domain import destinations as names

EVENTS = (
    names.POSTPROCESS_DATA_READY,
    *(names.CATALOG_JOBS, names.CATALOG_STARTED, names.CATALOG_COMPLETE),
    *(names.REDUCTION_JOBS, names.REDUCTION_STARTED, names.REDUCTION_COMPLETE),
    *(
        names.REDUCTION_CATALOG_JOBS,
        names.REDUCTION_CATALOG_STARTED,
        names.REDUCTION_CATALOG_COMPLETE,
    ),
)
STEP_OF = {
    "CATALOG": "cataloguing",
    "REDUCTION": "reduction",
    "REDUCTION_CATALOG": "reduction_cataloguing",
}
_DONE = """
SELECT run.number FROM workflow_run AS run JOIN workflow_instrument AS instrument
    ON instrument.id = run.instrument_id
WHERE instrument.name = %s AND cataloguing = 5 AND reduction = 5 AND reduction_cataloguing = 5
"""
_EVENTS = """
SELECT run.number, event.queue, count(*) FROM workflow_event AS event
JOIN workflow_run AS run ON run.id = event.run_id GROUP BY 1, 2
"""
_JOBS = """
SELECT run.number, job.step, job.attempt, coalesce(to_jsonb(job) ->> 'reason', '')
FROM workflow_job AS job JOIN workflow_run AS run ON run.id = job.run_id ORDER BY 1, 2, 3
"""


@dataclass(slots=True)
class Audit:
    """Sentences about what is wrong; `resent` are attempts that the system made and explained."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)
    repeated: int = 0

    @property
    def wrong(self) -> list[str]:
        return self.lost + self.doubled


@dataclass(frozen=True, slots=True)
class Diary:
    """What the script of one run wrote: seconds since 1970 of its beginnings and ends."""

    began: Sequence[float]
    ended: Sequence[float]


def done_runs(facility: Facility) -> set[int]:
    return {number for (number,) in facility.query(_DONE, INSTRUMENT.lower())}


def audit(facility: Facility, announcements: Sequence[Announcement]) -> Audit:
    """Look at everything; nothing is changed."""
    found = Audit(repeated=sum(each.tries > 1 for each in announcements))
    wanted = {each.number: each for each in announcements}
    attempts = _attempts(facility, found)
    _check_runs(facility, wanted, found)
    _check_events(facility, wanted, attempts, found)
    _check_files(facility, wanted, attempts, found)
    _check_leftovers(facility, found)
    return found


def _attempts(facility: Facility, found: Audit) -> Counter[tuple[int, str]]:
    """How many attempts each step of a run may have: those with a reason are the system's own."""
    allowed: Counter[tuple[int, str]] = Counter()
    for number, step, attempt, reason in facility.query(_JOBS):
        if attempt == 1 or reason:
            allowed[number, step] += 1
        if attempt > 1:
            sentence = f"run {number}: attempt {attempt} at {step}"
            if reason:
                found.resent.append(f"{sentence}: {reason}")
            else:
                found.doubled.append(f"{sentence}, and no reason is given")
    return allowed


def _check_runs(facility: Facility, wanted: Mapping[int, Announcement], found: Audit) -> None:
    done = done_runs(facility)
    known = {number for (number,) in facility.query("SELECT number FROM workflow_run")}
    found.lost += [
        f"run {number} is {'not complete' if number in known else 'unknown'}"
        for number in sorted(wanted.keys() - done)
    ]
    found.doubled += [f"run {number} was never announced" for number in known - wanted.keys()]


def _check_events(
    facility: Facility,
    wanted: Mapping[int, Announcement],
    attempts: Mapping[tuple[int, str], int],
    found: Audit,
) -> None:
    counted = {(number, queue): times for number, queue, times in facility.query(_EVENTS)}
    for number, announcement in wanted.items():
        for queue in EVENTS:
            times = counted.pop((number, queue), 0)
            most = _most(queue, announcement, attempts)
            if times == 0:
                found.lost.append(f"run {number}: no event {queue}")
            elif times > most:
                found.doubled.append(f"run {number}: {times} events {queue}, {most} expected")
    found.doubled += [f"run {number}: unexpected event {queue}" for number, queue in counted]


def _most(queue: str, announcement: Announcement, attempts: Mapping[tuple[int, str], int]) -> int:
    """A repeated announcement may be recorded as often as it was sent; it must do nothing."""
    if queue == names.POSTPROCESS_DATA_READY:
        return announcement.tries
    return attempts.get((announcement.number, STEP_OF[queue.split(".", maxsplit=1)[0]]), 1)


def _check_files(
    facility: Facility,
    wanted: Mapping[int, Announcement],
    attempts: Mapping[tuple[int, str], int],
    found: Audit,
) -> None:
    diaries = read_diaries(facility.root)
    for number in wanted:
        ends = len(diaries[number].ended) if number in diaries else 0
        most = attempts.get((number, "reduction"), 1)
        if ends == 0:
            found.lost.append(f"run {number}: its script never ran to its end")
        elif ends > most:
            found.doubled.append(f"run {number}: its script ran {ends} times for {most} attempts")


def read_diaries(root: Path) -> dict[int, Diary]:
    """The diaries of all scripts that began, by run number."""
    folder = root / "SNS" / INSTRUMENT / PROPOSAL / "shared" / "autoreduce"
    return {
        int(file.name.split(".")[0].rpartition("_")[2]): _diary(file)
        for file in folder.glob("*.diary")
    }


def _diary(file: Path) -> Diary:
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    times = {
        word: [float(time) for kind, time in lines if kind == word] for word in ("began", "ended")
    }
    return Diary(**times)


def _check_leftovers(facility: Facility, found: Audit) -> None:
    rejected = facility.query("SELECT destination, reason FROM workflow_rejected_message")
    found.lost += [f"rejected on {place}: {reason}" for place, reason in rejected]
    unsent = facility.query("SELECT destination FROM workflow_outbox")
    found.lost += [f"never sent to {place}" for (place,) in unsent]
    left = facility.processes_naming(str(facility.root / "SNS" / INSTRUMENT))
    found.doubled += [f"still running: {command}" for command in left]


def flowing_again(facility: Facility, fault: datetime) -> float | None:
    """Seconds from a fault until work flowed through all parts again; None if it never did.

    That is when both were seen: a job was sent that had not been sent when the fault came
    (broker, database and manager work), and a reduction was recorded as done whose script began
    after the fault (so does the agent, and the way back).
    """
    sent = facility.query("SELECT min(sent_at) FROM workflow_job WHERE sent_at > %s", fault)
    ended = _first_new_end(facility, fault)
    if not sent or sent[0][0] is None or ended is None:
        return None
    return float((max(sent[0][0], ended) - fault).total_seconds())


def _first_new_end(facility: Facility, fault: datetime) -> datetime | None:
    diaries = read_diaries(facility.root)
    rows: Iterable[tuple[Any, ...]] = facility.query(
        "SELECT run.number, job.ended_at FROM workflow_job AS job"
        " JOIN workflow_run AS run ON run.id = job.run_id"
        " WHERE job.step = 'reduction' AND job.ended_at > %s ORDER BY job.ended_at",
        fault,
    )
    for number, ended_at in rows:
        began = diaries[number].began if number in diaries else ()
        if any(each > fault.timestamp() for each in began) and isinstance(ended_at, datetime):
            return ended_at
    return None
