"""What the workflow manager owns: runs and everything that happened to them.

Rows are written by `services` only; everyone else reads through `selectors`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflow_manager.domain.priorities import FRESH
from workflow_manager.domain.steps import Phase, Step

_PHASES = [(phase.value, phase.word) for phase in Phase]


def _phase() -> "models.PositiveSmallIntegerField[int, int]":
    return models.PositiveSmallIntegerField(
        choices=_PHASES, default=Phase.WAITING.value, db_default=Phase.WAITING.value
    )


class Instrument(models.Model):
    """A beamline. Names are lower case; the facility is the one its messages came with."""

    name = models.TextField(unique=True)
    facility = models.TextField(default="", db_default="")
    jobs_in_flight = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="how many jobs may be with the broker and the agents at once; empty: no limit",
    )
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


class Queue(models.Model):
    """A queue that the site added to those of `domain.rules`.

    The workflow manager subscribes to it, or leaves it, within seconds of the change.
    """

    name = models.TextField(unique=True)
    is_workflow_input = models.BooleanField(
        default=True, db_default=True, help_text="whether the workflow manager subscribes to it"
    )

    class Meta:
        db_table = "workflow_queue"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class RefusedSubscription(models.Model):
    """A queue or topic that the workflow manager wants to read and does not get, and why."""

    destination = models.TextField(unique=True)
    reason = models.TextField(help_text="in the broker's words, or ours where the name is unfit")
    since = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_refused_subscription"
        ordering = ["destination"]

    def __str__(self) -> str:
        return f"{self.destination}: {self.reason}"


class Route(models.Model):
    """An instrument's change to where its runs go after a message on `queue`.

    Without targets the run stops there on purpose. `success_queues` and `task_class` are kept for
    installations that move in; nothing uses them.
    """

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="routes")
    queue = models.TextField(help_text="what the message arrives on")
    targets = ArrayField(models.TextField(), default=list, blank=True)
    success_queues = ArrayField(models.TextField(), default=list, blank=True)
    task_class = models.TextField(default="", db_default="", blank=True)
    changed_by = models.TextField(default="", db_default="", blank=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_route"
        ordering = ["instrument__name", "queue"]
        constraints = [
            models.UniqueConstraint(fields=["instrument", "queue"], name="route_identity"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument}: {self.queue} → {', '.join(self.targets) or 'nothing'}"


class Batch(models.Model):
    """A wish for one step of many runs. Its jobs wait in the database and leave a few at a time."""

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        CANCELLED = "cancelled"
        SENT = "sent"

    step = models.TextField(help_text="a step, or `all` for everything after data ready")
    description = models.TextField(help_text="which runs were wanted, in words")
    requested_by = models.TextField()
    reason = models.TextField(default="", db_default="", blank=True)
    priority = models.PositiveSmallIntegerField()
    state = models.TextField(choices=State, default=State.RUNNING)
    runs = models.PositiveIntegerField(help_text="how many runs were asked for")
    requested_at = models.DateTimeField(db_default=Now())
    state_changed_at = models.DateTimeField(db_default=Now())
    state_changed_by = models.TextField(default="", db_default="")

    class Meta:
        db_table = "workflow_batch"
        ordering = ["-requested_at", "-id"]

    def __str__(self) -> str:
        return f"{self.step} of {self.description}"


class Job(models.Model):
    """One attempt at one step of one run, given to an agent.

    A job that is held waits here, not in the broker, until `dispatch` lets it go. While a report
    about it is awaited it has a lease: until when nothing is done about silence. A cancelled job
    was held and never left; the attempt before it counts.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="jobs")
    # The run's, for fair shares and for statistics of one instrument.
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="+", db_index=False)
    step = models.TextField(help_text="of `domain.steps`, or of a queue that a route names")
    attempt = models.PositiveIntegerField()
    queue = models.TextField()
    phase = models.PositiveSmallIntegerField(choices=_PHASES, default=Phase.REQUESTED.value)
    requested_by = models.TextField(default="", db_default="", help_text="the queue or the person")
    reason = models.TextField(default="", db_default="", help_text="why it was asked for")
    requested_at = models.DateTimeField(db_default=Now())
    priority = models.PositiveSmallIntegerField(default=FRESH, db_default=FRESH)
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="jobs", db_index=False)
    is_held = models.BooleanField(default=False, db_default=False)
    held_body = models.JSONField(null=True, help_text="what to send, if not made from the run")
    cancelled_at = models.DateTimeField(null=True)
    recoveries = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="how often in a row it was sent again by itself"
    )
    lease_until = models.DateTimeField(null=True, help_text="empty when no report is awaited")
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
            models.Index(
                fields=["instrument", "step", "-ended_at"],
                name="job_newest_done",
                condition=Q(phase=Phase.DONE.value),
            ),
            models.Index(
                fields=["instrument", "lease_until"],
                name="job_in_flight",
                condition=Q(lease_until__isnull=False),
            ),
            models.Index(
                fields=["instrument", "-priority", "id"],
                name="job_held",
                condition=Q(is_held=True, batch=None),
            ),
            models.Index(
                fields=["batch", "instrument", "id"],
                name="job_held_of_batch",
                condition=Q(is_held=True, batch__isnull=False),
            ),
            models.Index(
                fields=["batch", "phase"],
                name="job_of_batch",
                condition=Q(batch__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} of {self.run}, attempt {self.attempt}"


class Event(models.Model):
    """The recorded fact that a message about a run passed; the whole body is kept.

    `message_id` is the broker's number with a digest of the body, or `job <id>.<attempt>` for a
    message that belongs to a job: what is sent or reported about a job twice is one event.

    The table is partitioned by month (UTC) of `received_at` (`event_partitions`). No event of a
    run is more than a day older than the run's `created_at` or more than a day newer than its
    `updated_at`: writers see to that, and readers need not open all months. Uniqueness cannot be
    a constraint over partitions: writers lock the run, and then ask what is recorded.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="events", db_index=False)
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
        indexes = [
            models.Index(fields=["run", "received_at"], name="event_of_run"),
            models.Index(fields=["message_id", "queue"], name="event_identity"),
            models.Index(fields=["received_at"], name="event_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} of {self.run}"


class OutboxMessage(models.Model):
    """A message that a committed change wants sent; the row goes when the broker has confirmed."""

    destination = models.TextField()
    body = models.BinaryField()
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="+")
    priority = models.PositiveSmallIntegerField(default=FRESH, db_default=FRESH)
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

    class Outcome(models.TextChoices):
        OPEN = "open"
        REPLAYED = "replayed"
        DISCARDED = "discarded"

    identity = models.TextField(unique=True)
    destination = models.TextField()
    message_id = models.TextField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    reason = models.TextField()
    received_at = models.DateTimeField(db_default=Now())
    outcome = models.TextField(choices=Outcome, default=Outcome.OPEN, db_default=Outcome.OPEN)
    outcome_at = models.DateTimeField(null=True)
    outcome_by = models.TextField(default="", db_default="")
    outcome_reason = models.TextField(default="", db_default="")

    class Meta:
        db_table = "workflow_rejected_message"
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(
                fields=["-received_at", "-id"],
                name="rejected_open",
                condition=Q(outcome="open"),
            ),
        ]

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


class Agent(models.Model):
    """A post-processing agent that was heard: by heartbeats and by answers to pings."""

    name = models.TextField(unique=True, help_text="the host's name, as its reports carry it")
    pid = models.TextField(default="", db_default="")
    slots = models.PositiveIntegerField(
        null=True, help_text="jobs at once; older agents do not tell"
    )
    first_seen_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    lost_at = models.DateTimeField(null=True, help_text="since when its jobs were given to others")

    class Meta:
        db_table = "workflow_agent"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ManagerProcess(models.Model):
    """A running workflow manager, as it last told."""

    name = models.TextField(unique=True, help_text="host and process number")
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    is_connected = models.BooleanField(default=False, db_default=False, help_text="to the broker")
    handled = models.PositiveBigIntegerField(default=0, db_default=0, help_text="messages so far")
    last_message_at = models.DateTimeField(null=True)
    lag_seconds = models.FloatField(null=True, help_text="age of the newest message when recorded")

    class Meta:
        db_table = "workflow_manager_process"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Discrepancy(models.Model):
    """Where files, runs and run numbers of an instrument disagree, as reconciliation found it."""

    class Kind(models.TextChoices):
        FILE_WITHOUT_RUN = "file without run"
        RUN_WITHOUT_FILE = "run without file"
        NUMBER_MISSING = "number missing"

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="+")
    number = models.PositiveIntegerField(help_text="the run's")
    kind = models.TextField(choices=Kind)
    data_file = models.TextField(default="", db_default="")
    found_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "workflow_discrepancy"
        verbose_name_plural = "discrepancies"
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "number", "kind"], name="discrepancy_identity"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.instrument} {self.number}"
