"""What may wait."""

from celery import shared_task
from django.conf import settings
from django.db import OperationalError

from workflow_manager import event_partitions, reconciliation


@shared_task  # type: ignore[untyped-decorator]
def reconcile_all() -> int:
    return reconciliation.reconcile_all()


@shared_task(autoretry_for=(OperationalError,), retry_backoff=60, max_retries=8)  # type: ignore[untyped-decorator]
def tend_event_partitions() -> None:
    event_partitions.tend(settings.WORKFLOW_EVENT_RETENTION_MONTHS)
