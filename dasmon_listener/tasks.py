"""What may wait."""

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from dasmon_listener import delivery, notifications, partitions, rollups


@shared_task  # type: ignore[untyped-decorator]
def notify() -> int:
    """Tell those who wait for alarms that nobody acknowledged, and send what is due."""
    notifications.escalate(timezone.now())
    return delivery.deliver_due()


@shared_task  # type: ignore[untyped-decorator]
def roll_up() -> None:
    rollups.roll_up(timezone.now())


@shared_task(autoretry_for=(OperationalError,), retry_backoff=60, max_retries=8)  # type: ignore[untyped-decorator]
def tend_history() -> None:
    partitions.tend(timezone.now())
