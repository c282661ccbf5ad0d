"""Rows as the workflow manager would have written them, for tests of pages."""

import datetime as dt
import json
import math
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from dasmon_listener import alarms
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.models import Alarm, AlarmRule
from livedata import services as livedata
from workflow_manager.domain import destinations as names
from workflow_manager.domain.steps import Phase, Step
from workflow_manager.models import Event, Instrument, Job, Proposal, RejectedMessage, Run

PASSWORD = "a password of 8 words, none of them short"
ERROR = (
    "REDUCTION: File does not exist: /SNS/ARCS/shared/autoreduce/vanadium/van_214000.nxs\n"
    + "\n".join(f'  File "/SNS/ARCS/shared/autoreduce/reduce_ARCS.py", line {n}' for n in range(40))
)

_JOB_QUEUES = {
    Step.CATALOGUING: names.CATALOG_JOBS,
    Step.REDUCTION: names.REDUCTION_JOBS,
    Step.REDUCTION_CATALOGUING: names.REDUCTION_CATALOG_JOBS,
}


def account(role: str, tmp_path: Any) -> User:
    """An account of that role and name, whose password is `PASSWORD`."""
    file = tmp_path / f"password-{role}"
    file.write_text(PASSWORD)
    call_command("create_account", role, role=role, password_file=file, verbosity=0)
    return User.objects.get(username=role)


def add_run(
    instrument: str = "arcs",
    number: int = 214583,
    *,
    ago: float = 60,
    phases: tuple[Phase, Phase, Phase] = (Phase.DONE, Phase.DONE, Phase.DONE),
    has_data: bool = True,
    took: float = 1.8,
    error: str = ERROR,
    agent: str = "autoreducer3",
    proposal: str = "IPTS-27800",
    facility: str = "SNS",
) -> Run:
    """A run that was announced `ago` seconds before now, with jobs that fit its phases."""
    created = timezone.now() - dt.timedelta(seconds=ago)
    name = instrument.lower()
    run = Run.objects.create(
        instrument=Instrument.objects.get_or_create(name=name, defaults={"facility": facility})[0],
        number=number,
        proposal=Proposal.objects.get_or_create(name=proposal)[0],
        data_file=f"/SNS/{name.upper()}/{proposal}/nexus/{name.upper()}_{number}.nxs.h5",
        created_at=created,
        data_ready_at=created if has_data else None,
        **{step.value: phase.value for step, phase in zip(Step, phases, strict=True)},
    )
    add_event(run, names.POSTPROCESS_DATA_READY if has_data else names.SMS, at=created)
    for step, phase in zip(Step, phases, strict=True):
        if phase is not Phase.WAITING:
            _add_job(run, step, phase, created, took=took, error=error, agent=agent)
    return run


def add_event(
    run: Run,
    queue: str,
    *,
    at: dt.datetime | None = None,
    error: str = "",
    information: str = "",
    job: Job | None = None,
) -> Event:
    body = {
        "instrument": run.instrument.name.upper(),
        "run_number": str(run.number),
        "ipts": run.proposal.name,
        "facility": run.instrument.facility,
        "data_file": run.data_file,
    }
    return Event.objects.create(
        run=run,
        queue=queue,
        message_id=f"ID:test-{run.id}-{queue}-{Event.objects.count()}",
        received_at=at or timezone.now(),
        information=information,
        error=error,
        job=job,
        body=body | ({"error": error} if error else {}),
    )


def reject(
    body: bytes = b'{"instrument": "ARCS", "run_number": "many"}',
    reason: str = "run_number 'many' is not a whole number",
) -> RejectedMessage:
    return RejectedMessage.objects.create(
        identity=f"rejected-{RejectedMessage.objects.count()}",
        destination="/queue/POSTPROCESS.DATA_READY",
        message_id=f"ID:rejected-{RejectedMessage.objects.count()}",
        headers={"content-type": "text/plain", "JMSXUserID": "wfclient"},
        body=body,
        reason=reason,
    )


def raise_alarm(
    name: str = "SID_SVP_HIGH",
    *,
    instrument: str = "arcs",
    level: Level = Level.ERROR,
    message: str = "SV pressure too high",
    ago: float = 60,
) -> Alarm:
    """As a signal of DASMON raises it."""
    Instrument.objects.get_or_create(name=instrument, defaults={"facility": "SNS"})
    at = timezone.now() - dt.timedelta(seconds=ago)
    with transaction.atomic():
        alarms.receive([SignalReport(instrument, name, level, "DAS", message, at)], at)
    return Alarm.objects.get(instrument__name=instrument, name=name, closed_at=None)


def add_rule(instrument: Instrument, name: str = "BL18:SE:T", **more: Any) -> AlarmRule:
    """That a PV is an alarm above 300."""
    values = {"condition": "above", "high": 300.0, "duration": dt.timedelta(seconds=10)}
    kind = Kind.PV.value
    return AlarmRule.objects.create(instrument=instrument, name=name, kind=kind, **values | more)


def add_plot(run: Run, *, peak: float = 1.0) -> int:
    """Publish a curve with its maximum at `peak`; return its index."""
    x = [n / 50 for n in range(200)]
    y = [1000 * math.exp(-((at - peak) ** 2) / 0.1) + 20 for at in x]
    figure = {
        "data": [{"type": "scatter", "mode": "lines", "name": "I(Q)", "x": x, "y": y}],
        "layout": {
            "title": {"text": f"{run.instrument} {run.number}"},
            "xaxis": {"title": {"text": "Energy transfer (meV)"}},
            "yaxis": {"title": {"text": "Intensity (arb. units)"}},
        },
    }
    return livedata.append(
        instrument=run.instrument.name,
        run_number=run.number,
        metadata={"kind": "json"},
        content=json.dumps(figure).encode(),
    ).index


def _add_job(
    run: Run, step: Step, phase: Phase, at: dt.datetime, *, took: float, error: str, agent: str
) -> None:
    started = at + dt.timedelta(seconds=0.4) if phase >= Phase.STARTED else None
    ended = started + dt.timedelta(seconds=took) if started and phase.is_final else None
    job = Job.objects.create(
        run=run,
        instrument=run.instrument,
        step=step,
        attempt=1,
        queue=_JOB_QUEUES[step],
        phase=phase.value,
        requested_at=at,
        started_at=started,
        ended_at=ended,
        agent=agent if started else "",
        error=error if phase is Phase.FAILED else "",
    )
    add_event(run, _JOB_QUEUES[step], at=at, job=job)
    if ended:
        queue = job.queue.replace("DATA_READY", _REPORTS[phase])
        add_event(run, queue, at=ended, information=agent, error=job.error, job=job)


_REPORTS = {Phase.DONE: "COMPLETE", Phase.FAILED: "ERROR", Phase.SKIPPED: "DISABLED"}
