"""What may wait."""

from celery import shared_task
from django.utils import timezone

from dasmon_listener import delivery, notifications


@shared_task  # type: ignore[untyped-decorator]
def notify() -> int:
    """Tell those who wait for alarms that nobody acknowledged, and send what is due."""
    notifications.escalate(timezone.now())
    return delivery.deliver_due()
