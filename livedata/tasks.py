"""What may wait."""

from celery import shared_task

from livedata import services


@shared_task  # type: ignore[untyped-decorator]
def remove_expired_streams() -> int:
    return services.remove_expired_streams()
