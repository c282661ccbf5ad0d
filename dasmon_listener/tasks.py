"""What may wait, or is done by the clock."""

from celery import shared_task
from django.db import OperationalError
from django.utils import timezone

from dasmon_listener import partitions, rollups


@shared_task(autoretry_for=(OperationalError,), retry_backoff=60, max_retries=8)  # type: ignore[untyped-decorator]
def tend_partitions() -> None:
    partitions.tend(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def roll_up() -> None:
    rollups.roll_up(timezone.now())
