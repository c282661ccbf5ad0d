"""What a broker gave up on: it is kept for people, and the job that it was about is told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from workflow_manager import selectors
from workflow_manager.broker.ports import Delivery
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import DecodeError, decode
from workflow_manager.protocol.dead_letter import opened
from workflow_manager.protocol.messages import RunMessage
from workflow_manager.services import Received, Rejection, identity_of


@dataclass(frozen=True, slots=True)
class _Letter:
    rejection: Rejection
    message: RunMessage | None

    @property
    def sent_job(self) -> selectors.SentJob | None:
        """The job that it says it is."""
        if self.message is None or self.message.job is None:
            return None
        job = self.message.job
        queue = names.bare_name(self.rejection.destination)
        return selectors.SentJob(job.job_id, job.attempt, queue, *self.message.run_key)


def is_dead_letter(delivery: Delivery) -> bool:
    return names.bare_name(delivery.destination) in names.DEAD_LETTER_QUEUES


def taken_in(
    deliveries: Sequence[Delivery], facility_root: PurePosixPath, now: datetime
) -> tuple[list[Received], list[Rejection]]:
    """The rows for people, and for each job that nobody has begun the report that it failed."""
    letters = [_letter(delivery, facility_root) for delivery in deliveries]
    open_jobs = selectors.open_among([job for each in letters if (job := each.sent_job)])
    return _reports(letters, open_jobs, now), [letter.rejection for letter in letters]


def _letter(delivery: Delivery, facility_root: PurePosixPath) -> _Letter:
    found = opened(delivery.destination, delivery.message_id, delivery.headers)
    rejection = Rejection(
        found.destination, found.message_id, delivery.headers, delivery.body, found.reason
    )
    try:
        return _Letter(rejection, decode(names.POSTPROCESS_ERROR, delivery.body, facility_root))
    except DecodeError:
        # It is about no job of ours; the row keeps the bytes.
        return _Letter(rejection, None)


def _reports(
    letters: Sequence[_Letter], open_jobs: Collection[selectors.SentJob], now: datetime
) -> list[Received]:
    return [
        Received(_failed(letter.message, letter.rejection.reason), _identity(letter), now)
        for letter in letters
        if letter.message is not None and letter.sent_job in open_jobs
    ]


def _failed(message: RunMessage, reason: str) -> RunMessage:
    """The report that an agent would have sent if it could have begun."""
    body = {**message.body, "error": reason}
    return replace(
        message, queue=names.POSTPROCESS_ERROR, information=None, error=reason, body=body
    )


def _identity(letter: _Letter) -> str:
    return identity_of(letter.rejection.message_id, letter.rejection.body)
