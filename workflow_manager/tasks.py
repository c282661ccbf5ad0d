"""What may wait."""

from celery import shared_task

from workflow_manager import reconciliation


@shared_task  # type: ignore[untyped-decorator]
def reconcile_all() -> int:
    return reconciliation.reconcile_all()
