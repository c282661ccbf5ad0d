"""What the workflow manager owns: runs and everything that happened to them.

Rows are written by `services` only; everyone else reads through `selectors`.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflow_manager.domain.steps import Phase, Step

_PHASES = [(phase.value, phase.word) for phase in Phase]
_STEPS = [(step.value, step.label) for step in Step]


def _phase() -> "models.PositiveSmallIntegerField[int, int]":
    return models.PositiveSmallIntegerField(
        choices=_PHASES, default=Phase.WAITING.value, db_default=Phase.WAITING.value
    )


class Instrument(models.Model):
    """A beamline. Names are lower case; the facility is the one its messages came with."""

    name = models.TextField(unique=True)
    facility = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_instrument"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name.upper()


class Proposal(models.Model):
    """A permission to use beam, in upper case, such as `IPTS-27800`."""

    name = models.TextField(unique=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_proposal"

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One measurement, with how far each step of its processing is.

    The phases are those of the newest attempt at each step.
    """

    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="runs")
    data_file = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    data_ready_at = models.DateTimeField(null=True, help_text="empty while acquiring")
    updated_at = models.DateTimeField(db_default=Now())
    cataloguing = _phase()
    reduction = _phase()
    reduction_cataloguing = _phase()

    class Meta:
        db_table = "workflow_run"
        constraints = [
            models.UniqueConstraint(fields=["instrument", "number"], name="run_identity"),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="run_newest"),
            models.Index(fields=["instrument", "-created_at"], name="run_newest_of_instrument"),
            models.Index(fields=["proposal", "instrument"], name="run_of_proposal"),
            # The rare states, which a search among all runs would take long to find.
            models.Index(
                fields=["-created_at"],
                name="run_newest_failed",
                condition=Q(cataloguing=Phase.FAILED.value)
                | Q(reduction=Phase.FAILED.value)
                | Q(reduction_cataloguing=Phase.FAILED.value),
            ),
            models.Index(
                fields=["-created_at"],
                name="run_newest_acquiring",
                condition=Q(
                    data_ready_at=None,
                    cataloguing=Phase.WAITING.value,
                    reduction=Phase.WAITING.value,
                    reduction_cataloguing=Phase.WAITING.value,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument} {self.number}"

    def phase(self, step: Step) -> Phase:
        return Phase(getattr(self, step.value))


class Job(models.Model):
    """One attempt at one step of one run, given to an agent."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="jobs")
    step = models.TextField(choices=_STEPS)
    attempt = models.PositiveIntegerField()
    queue = models.TextField()
    phase = models.PositiveSmallIntegerField(choices=_PHASES, default=Phase.REQUESTED.value)
    requested_by = models.TextField(default="", db_default="", help_text="the queue or the person")
    requested_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    agent = models.TextField(default="", db_default="")
    error = models.TextField(default="", db_default="", help_text="whole, never cut")
    exit_code = models.IntegerField(null=True)

    class Meta:
        db_table = "workflow_job"
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "attempt"], name="job_identity"),
        ]
        indexes = [
            models.Index(
                fields=["requested_at"],
                name="job_open",
                condition=Q(phase__lt=Phase.FAILED.value),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} of {self.run}, attempt {self.attempt}"


class Event(models.Model):
    """The recorded fact that a message about a run passed; the whole body is kept.

    `message_id` is the broker's number with a digest of the body, or `job <id>.<attempt>` for a
    message that belongs to a job: what is sent or reported about a job twice is one event.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="events")
    queue = models.TextField()
    message_id = models.TextField()
    received_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, help_text="the sender's clock, where it told")
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="events")
    information = models.TextField(default="", db_default="")
    error = models.TextField(default="", db_default="")
    body = models.JSONField()

    class Meta:
        db_table = "workflow_event"
        constraints = [
            models.UniqueConstraint(fields=["message_id", "queue"], name="event_identity"),
        ]
        indexes = [models.Index(fields=["received_at"], name="event_newest")]

    def __str__(self) -> str:
        return f"{self.queue} of {self.run}"


class OutboxMessage(models.Model):
    """A message that a committed change wants sent; the row goes when the broker has confirmed."""

    destination = models.TextField()
    body = models.BinaryField()
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_outbox"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.destination


class RejectedMessage(models.Model):
    """A message that could not be handled: its bytes, and the reason in one sentence.

    `identity` is a digest of where it came, its number and its body: the same message is kept
    once, however often it is delivered.
    """

    identity = models.TextField(unique=True)
    destination = models.TextField()
    message_id = models.TextField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    reason = models.TextField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_rejected_message"
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"{self.destination}: {self.reason}"


class ImportedRun(models.Model):
    """A run of the system that this one replaces, and how much of its history was moved in.

    `source_id` is its number there; rows that were the same run there are one run here.
    `recorded` are statuses that were recorded here as well and not moved a second time.
    """

    source_id = models.BigIntegerField(primary_key=True)
    run = models.ForeignKey(Run, models.CASCADE, related_name="+")
    statuses = models.PositiveIntegerField()
    recorded = models.PositiveIntegerField(default=0)
    recorded_information = models.PositiveIntegerField(default=0)
    recorded_errors = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "workflow_imported_run"

    def __str__(self) -> str:
        return f"{self.source_id} is {self.run}"
