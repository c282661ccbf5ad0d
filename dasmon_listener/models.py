"""What the listener owns: values and signs of life that instruments report, and alarms.

Samples and their rollups (`sql/history.sql`) have no models: they are written by COPY and read as
series, never as objects.
"""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from dasmon_listener.domain.alarm_rules import Condition, Rule
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from workflow_manager.models import Instrument


class Series(models.Model):
    """A named quantity of an instrument over time: a PV, or a status value of DASMON.

    A PV that came without an instrument, or with one that nobody knows, has none here.
    """

    id = models.AutoField(primary_key=True)  # four bytes in each sample
    instrument = models.ForeignKey(
        Instrument, models.CASCADE, null=True, blank=True, db_index=False, related_name="series"
    )
    name = models.TextField()
    kind = models.PositiveSmallIntegerField(choices=[(kind.value, kind.word) for kind in Kind])
    unit = models.TextField(default="", db_default="", blank=True)
    is_recorded = models.BooleanField(
        default=True, db_default=True, help_text="whether what comes under this name is kept"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "dasmon_series"
        verbose_name_plural = "series"
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "kind", "name"],
                name="series_identity",
                nulls_distinct=False,
            ),
        ]
        indexes = [models.Index(fields=["name"], name="series_by_name")]

    def __str__(self) -> str:
        return self.name


class Latest(models.Model):
    """The newest value of a series: a number, a text, or a number with the text it came as.

    `at` is the sender's time, or ours where it told none or one that cannot be; `received_at` ours.
    `status` is the code of the data acquisition for PVs (0 is good), empty for status values.
    """

    series = models.OneToOneField(
        Series, models.CASCADE, primary_key=True, related_name="latest", db_constraint=False
    )
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    value = models.FloatField(null=True)
    text = models.TextField(null=True)
    status = models.IntegerField(null=True)

    class Meta:
        db_table = "dasmon_latest"
        # No index but the key: one on what each value changes would cost twice the time.
        verbose_name_plural = "latest values"


class MonitoredPv(models.Model):
    """A PV that an instrument's page shows, chosen there or by `setInstrumentPVs`.

    It is a wish: the PV may have no value yet.
    """

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="monitored_pvs")
    name = models.TextField()
    position = models.IntegerField(default=0, db_default=0)
    rule_name = models.TextField(
        default="", db_default="", blank=True, help_text="the signal of DASMON that goes with it"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "dasmon_monitored_pv"
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["instrument", "name"], name="monitored_pv_identity"),
        ]

    def __str__(self) -> str:
        return self.name


class Equipment(models.Model):
    """How an instrument is equipped; one without a row has what the defaults say."""

    instrument = models.OneToOneField(
        Instrument, models.CASCADE, primary_key=True, related_name="equipment"
    )
    is_alive = models.BooleanField(default=True, db_default=True, help_text="shown at all")
    is_adara = models.BooleanField(default=True, db_default=True, help_text="DASMON reports")
    has_pvsd = models.BooleanField(default=False, db_default=False)
    has_pvstreamer = models.BooleanField(default=True, db_default=True)

    class Meta:
        db_table = "dasmon_equipment"
        verbose_name_plural = "equipment"

    def __str__(self) -> str:
        return f"equipment of {self.instrument}"


class Component(models.Model):
    """A process that says it is there: DASMON of an instrument, an agent, the workflow manager."""

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="components")
    name = models.TextField(help_text="as in system_<name>")
    status = models.TextField(default="", db_default="", help_text="0 is good")
    pid = models.TextField(default="", db_default="")
    heard_at = models.DateTimeField(help_text="by our clock")
    period = models.DurationField(help_text="it says so this often")
    answered_at = models.DateTimeField(null=True, help_text="it answered our ping")
    answer_delay = models.DurationField(null=True)
    is_expected = models.BooleanField(
        default=True, db_default=True, help_text="its silence is an alarm"
    )

    class Meta:
        db_table = "dasmon_component"
        constraints = [
            models.UniqueConstraint(fields=["instrument", "name"], name="component_identity"),
        ]

    def __str__(self) -> str:
        return self.name


class Gap(models.Model):
    """A time of which values are missing, and why; without an instrument, of all of them."""

    instrument = models.ForeignKey(Instrument, models.CASCADE, null=True, related_name="gaps")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    lost = models.BigIntegerField(null=True, help_text="values; empty where nobody could count")
    reason = models.TextField()

    class Meta:
        db_table = "dasmon_gap"
        indexes = [models.Index(fields=["ended_at"], name="gap_newest")]


class UnreadMessage(models.Model):
    """Telemetry that could not be read: how often on which topic, and the newest one, whole."""

    destination = models.TextField()
    reason = models.TextField()
    times = models.BigIntegerField(default=1)
    first_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())
    body = models.BinaryField()

    class Meta:
        db_table = "dasmon_unread_message"
        constraints = [
            models.UniqueConstraint(fields=["destination", "reason"], name="unread_identity"),
        ]


class ListenerProcess(models.Model):
    """What a listener tells of itself each second."""

    name = models.TextField(unique=True, help_text="host and process number")
    started_at = models.DateTimeField(db_default=Now())
    alive_at = models.DateTimeField(db_default=Now())
    is_active = models.BooleanField(help_text="false: it stands by while another one writes")
    is_connected = models.BooleanField()
    messages = models.BigIntegerField(default=0)
    values = models.BigIntegerField(default=0)
    shed = models.BigIntegerField(default=0, help_text="values dropped because too many came")
    unread = models.BigIntegerField(default=0)
    waiting = models.IntegerField(default=0, help_text="values that wait to be written")
    lag = models.DurationField(null=True, help_text="from a message's arrival to its commit")

    class Meta:
        db_table = "dasmon_listener_process"


class RolledUp(models.Model):
    """How far samples are rolled up: what was received before is in the rollups."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    received_before = models.DateTimeField()

    class Meta:
        db_table = "dasmon_rolled_up"


class AlarmRule(models.Model):
    """When a value is an alarm. A made rule is checked each second against every sample."""

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="alarm_rules")
    kind = models.PositiveSmallIntegerField(choices=[(kind.value, kind.word) for kind in Kind])
    name = models.TextField(help_text="the PV or status value")
    condition = models.TextField(
        choices=[(condition.value, condition.words) for condition in Condition]
    )
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    hysteresis = models.FloatField(default=0.0, help_text="how far back it must come to be over")
    duration = models.DurationField(help_text="it must last so long, or be so old")
    level = models.PositiveSmallIntegerField(
        choices=[(level.value, level.word) for level in Level], default=Level.ERROR.value
    )
    message = models.TextField(default="", blank=True)
    is_enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "dasmon_alarm_rule"
        ordering = ["instrument", "name", "id"]

    @property
    def alarm_name(self) -> str:
        """The name of the alarms that it raises."""
        return f"{self.name} {self.condition}"

    @property
    def terms(self) -> Rule:
        """What it says, without where it holds."""
        return Rule(Condition(self.condition), self.low, self.high, self.hysteresis, self.duration)


class AlarmSetting(models.Model):
    """What people decided about the alarms of one name: guidance, latch, shelf."""

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="alarm_settings")
    name = models.TextField()
    guidance = models.TextField(default="", blank=True, help_text="what to do when it is raised")
    is_latched = models.BooleanField(
        default=False, help_text="stays until acknowledged, even if it is over"
    )
    shelved_until = models.DateTimeField(null=True, blank=True)
    shelved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    shelved_because = models.TextField(default="", blank=True)

    class Meta:
        db_table = "dasmon_alarm_setting"
        constraints = [
            models.UniqueConstraint(fields=["instrument", "name"], name="alarm_setting_identity"),
        ]


class Alarm(models.Model):
    """One occurrence of an alarm, from when it was raised until it is over and settled.

    It is *open* until `closed_at`: at once when it is over, or, if latched, when it is also
    acknowledged.
    """

    class Origin(models.TextChoices):
        SIGNAL = "signal", "DASMON"
        RULE = "rule", "a rule"
        SILENCE = "silence", "silence"

    instrument = models.ForeignKey(Instrument, models.CASCADE, related_name="alarms")
    name = models.TextField()
    origin = models.TextField(choices=Origin.choices)
    rule = models.ForeignKey(AlarmRule, models.SET_NULL, null=True, related_name="alarms")
    level = models.PositiveSmallIntegerField(
        choices=[(level.value, level.word) for level in Level], db_index=False
    )
    source = models.TextField(default="")
    message = models.TextField(default="")
    raised_at = models.DateTimeField()
    repeated_at = models.DateTimeField()
    repeats = models.PositiveIntegerField(default=0)
    over_at = models.DateTimeField(null=True, help_text="retracted, or back in its range")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    comment = models.TextField(default="", blank=True)
    is_latched = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "dasmon_alarm"
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "name"],
                name="alarm_open_once",
                condition=Q(closed_at=None),
            ),
        ]
        indexes = [
            models.Index(fields=["instrument", "-raised_at"], name="alarm_of_instrument"),
            models.Index(fields=["-raised_at"], name="alarm_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.instrument}"


class AlarmEvent(models.Model):
    """What happened to an alarm: a line of its history."""

    class What(models.TextChoices):
        RAISED = "raised"
        CHANGED = "changed"
        OVER = "over"
        RAISED_AGAIN = "raised again"
        ACKNOWLEDGED = "acknowledged"
        SHELVED = "shelved"
        UNSHELVED = "unshelved"
        ESCALATED = "escalated"
        CLOSED = "closed"

    alarm = models.ForeignKey(Alarm, models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    what = models.TextField(choices=What.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    words = models.TextField(default="")

    class Meta:
        db_table = "dasmon_alarm_event"
        ordering = ["at", "id"]


class Recipient(models.Model):
    """Whom to tell of alarms, how, and when not."""

    class Way(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="recipients")
    instruments = models.ManyToManyField(
        Instrument, blank=True, related_name="+", help_text="none: all of them"
    )
    way = models.TextField(choices=Way.choices)
    address = models.TextField(help_text="an e-mail address, or the webhook's URL")
    minimum_level = models.PositiveSmallIntegerField(
        choices=[(level.value, level.word) for level in Level], default=Level.ERROR.value
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    days = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        blank=True,
        help_text="quiet hours hold on these weekdays, Monday is 0; none: on all",
    )
    escalate_after = models.DurationField(
        null=True,
        blank=True,
        help_text="told only of alarms that nobody acknowledged for so long; empty: at once",
    )
    wants_over = models.BooleanField(default=True, help_text="told as well when it is over")
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "dasmon_recipient"
        ordering = ["owner", "id"]


class Notification(models.Model):
    """Something to tell a recipient: the outbox, and afterwards the record that it was told."""

    class Cause(models.TextChoices):
        RAISED = "raised"
        ESCALATED = "escalated"
        OVER = "over"
        TEST = "test"
        MANY = "many"

    recipient = models.ForeignKey(Recipient, models.CASCADE, related_name="notifications")
    alarm = models.ForeignKey(Alarm, models.CASCADE, null=True, related_name="notifications")
    cause = models.TextField(choices=Cause.choices)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now(), help_text="not before; the end of quiet hours")
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    dropped_because = models.TextField(default="", help_text="why there was no need to tell")
    claimed_until = models.DateTimeField(null=True, help_text="a worker is sending it")
    is_past = models.BooleanField(
        default=False,
        db_default=False,
        help_text="the alarm was over since: when it is raised again it is told again",
    )
    follows = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        related_name="+",
        help_text="what was told before, of an alarm that is over",
    )
    told_in = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        related_name="gathered",
        help_text="the letter that tells of many at once, this one among them",
    )

    class Meta:
        db_table = "dasmon_notification"
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "alarm", "cause"],
                name="notification_once",
                condition=Q(is_past=False) & ~Q(cause="test"),
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="notification_waiting",
                condition=Q(sent_at=None, given_up_at=None),
            ),
            models.Index(
                fields=["recipient", "-created_at", "-id"], name="notification_of_recipient"
            ),
            models.Index(fields=["-created_at", "-id"], name="notification_newest"),
            models.Index(
                fields=["recipient", "sent_at"],
                name="notification_sent",
                condition=Q(sent_at__isnull=False),
            ),
        ]


class DeliveryAttempt(models.Model):
    """One try to deliver a notification, and what the other side said."""

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="deliveries")
    at = models.DateTimeField(db_default=Now())
    is_success = models.BooleanField()
    took = models.DurationField()
    answer = models.TextField()

    class Meta:
        db_table = "dasmon_delivery_attempt"
        ordering = ["at", "id"]
