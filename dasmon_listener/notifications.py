"""The outbox of what is told to people about alarms."""

from collections.abc import Sequence
from datetime import datetime

from dasmon_listener.models import Alarm, Notification


def enqueue(alarms: Sequence[Alarm], cause: Notification.Cause, at: datetime) -> None:
    """Put what each interested recipient is to be told into the outbox."""
