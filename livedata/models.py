"""What livedata owns: streams and their messages.

Rows are written by `services` only; everyone else reads through `selectors`.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Stream(models.Model):
    """An ordered sequence of messages, found by instrument, run and name.

    Data of a named user is a stream too: `instrument` is then the user's name, `data_id` the
    user's own word for it, and `run_number` the id of this row, which the user reads it with.
    """

    instrument = models.TextField(help_text="lower case")
    run_number = models.BigIntegerField()
    name = models.TextField(default="plot", db_default="plot", help_text="what is published")
    data_id = models.TextField(null=True, help_text="only of a user's data")
    last_index = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "livedata_stream"
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "run_number", "name"], name="stream_identity"
            ),
            models.UniqueConstraint(
                fields=["instrument", "data_id", "name"],
                name="stream_of_user",
                condition=Q(data_id__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], name="stream_expiry", condition=Q(expires_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.instrument}/{self.run_number}"


class StreamMessage(models.Model):
    """One published thing: what is said about it, and its bytes."""

    stream = models.ForeignKey(Stream, models.CASCADE, related_name="messages")
    index = models.BigIntegerField(help_text="consecutive from 1")
    at = models.DateTimeField(db_default=Now())
    metadata = models.JSONField()
    size = models.BigIntegerField(help_text="bytes")
    content = models.BinaryField()

    class Meta:
        db_table = "livedata_message"
        constraints = [
            models.UniqueConstraint(fields=["stream", "index"], name="message_identity"),
        ]

    def __str__(self) -> str:
        return f"{self.index} of {self.stream}"
