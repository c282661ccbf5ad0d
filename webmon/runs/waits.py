"""Why the steps of a run wait, as far as the tables tell."""

from collections.abc import Iterable

from webmon.runs.verdict import Wait, Waits
from workflow_manager import health
from workflow_manager.domain.liveness import Liveness
from workflow_manager.domain.steps import Phase
from workflow_manager.models import Batch, Instrument, Job


def waits(instrument: Instrument, newest: Iterable[Job]) -> dict[str, Wait]:
    """By step, what those of the newest attempts that nobody has begun wait for.

    Only for these the managers or the agents are asked about, once each.
    """
    waiting = [job for job in newest if job.phase == Phase.REQUESTED.value]
    found = {job.step: _held(instrument, job) for job in waiting if job.is_held}
    unsent = [job for job in waiting if not job.is_held and job.sent_at is None]
    sent = [job for job in waiting if job.sent_at is not None]
    for jobs, wait in ((unsent, _sending), (sent, _taking)):
        if jobs:
            found |= dict.fromkeys((job.step for job in jobs), wait())
    return found


def _held(instrument: Instrument, job: Job) -> Wait:
    if job.batch is not None:
        is_paused = job.batch.state == Batch.State.PAUSED
        waits_for = Waits.PAUSED if is_paused else Waits.BATCH
        return Wait(waits_for, batch=job.batch.id, batch_of=job.batch.requested_by)
    if instrument.jobs_in_flight is None:
        return Wait(Waits.TURN)
    return Wait(Waits.LIMIT, instrument=instrument.name, limit=instrument.jobs_in_flight)


def _sending() -> Wait:
    managers = health.managers()
    is_sent = any(each.liveness is Liveness.OK and each.is_connected for each in managers)
    return Wait(Waits.SENDING if is_sent else Waits.BROKER)


def _taking() -> Wait:
    agents = health.agents()
    # Before the first sign of any agent nothing is known of agents that do not give signs.
    is_silent = bool(agents) and all(each.liveness is not Liveness.OK for each in agents)
    return Wait(Waits.NO_AGENT if is_silent else Waits.AGENT)
