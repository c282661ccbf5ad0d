"""The SQL that folds old histories says the same as the ledger that takes in messages."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.integration.workflow_manager.old_system import START, OldDatabase
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES
from workflow_manager.domain.steps import Step
from workflow_manager.ledger import RunLedger
from workflow_manager.models import Job, Run
from workflow_manager.protocol.messages import RunMessage

RUNS = 400
# What the old system sent to agents stands in its history as rows of their own.
MESSAGES = (*INPUT_QUEUES, names.SMS, "CALVERA.RAW.COMPLETE")
COMMON = (
    *(names.POSTPROCESS_DATA_READY, names.POSTPROCESS_ERROR, names.REDUCTION_REQUEST),
    *(names.REDUCTION_STARTED, names.REDUCTION_COMPLETE, names.REDUCTION_ERROR),
    *(names.CATALOG_STARTED, names.CATALOG_COMPLETE),
)
TEXTS = ("", "autoreducer4.sns.gov", "Requested by abc", "node_7", "-node", "two words")
ERRORS = ("", "REDUCTION: boom", "Data file not found: /x")


@dataclass
class Past:
    """One run's messages: taken in by the ledger, and written as the old system would have."""

    number: int
    ledger: RunLedger = field(default_factory=RunLedger)
    rows: list[tuple[str, dt.datetime, str, str]] = field(default_factory=list)

    def live(self, queue: str, at: dt.datetime, information: str, error: str) -> None:
        known = len(self.ledger.jobs)
        self.ledger.receive(_message(self.number, queue, information, error), at)
        self.rows.append((queue, at, information, error))
        for job in self.ledger.jobs[known:]:
            if job.body is not None:
                self.rows.append((job.queue, at, "", ""))


def _message(number: int, queue: str, information: str, error: str) -> RunMessage:
    return RunMessage(
        queue=queue,
        instrument="arcs",
        run_number=number,
        proposal="IPTS-1",
        facility="SNS",
        data_file="",
        information=information,
        error=error,
        job=None,
        body={},
    )


def _random_past(number: int, chance: random.Random) -> Past:
    past, at = Past(number), START
    for _ in range(chance.randrange(0, 14)):
        # Sometimes two messages in the same instant: then their order is that of their rows.
        at += dt.timedelta(seconds=chance.choice((0, 1, 60)))
        queue = chance.choice(chance.choice((MESSAGES, COMMON)))
        past.live(queue, at, chance.choice(TEXTS), chance.choice(ERRORS))
    return past


def _write(old: OldDatabase, pasts: Sequence[Past], chance: random.Random) -> None:
    """The runs' rows between each other's, as they came."""
    instrument, proposal = old.instrument("arcs"), old.proposal("IPTS-1")
    waiting = [(old.run(instrument, past.number, proposal), list(past.rows)) for past in pasts]
    while waiting:
        run, rows = chance.choice(waiting)
        if not rows:
            waiting.remove((run, rows))
            continue
        queue, at, information, error = rows.pop(0)
        old.status(run, queue, at=at, information=information, error=error)


def _told(job: Any) -> tuple[Any, ...]:
    names = ("step", "attempt", "queue", "phase", "requested_by", "requested_at", "started_at")
    return tuple(getattr(job, name) for name in (*names, "ended_at", "agent", "error"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_histories_end_as_the_ledger_says(old: OldDatabase, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not a secret
    pasts = [_random_past(number, chance) for number in range(RUNS)]
    with old.link.transaction():
        _write(old, pasts, chance)
    call_command("import_webmon", address=old.address, batch=150, stdout=StringIO())
    runs = {run.number: run for run in Run.objects.all()}
    jobs: dict[int, list[Job]] = {}
    for job in Job.objects.select_related("run"):
        jobs.setdefault(job.run.number, []).append(job)
    for past in pasts:
        wanted = sorted(map(_told, past.ledger.jobs))
        assert sorted(map(_told, jobs.get(past.number, []))) == wanted, past.rows
        phases = {step: runs[past.number].phase(step) for step in Step}
        assert phases == past.ledger.phases(), past.rows
        assert runs[past.number].data_ready_at == past.ledger.data_ready_at, past.rows
