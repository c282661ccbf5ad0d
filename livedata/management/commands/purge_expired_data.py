"""Delete the streams that have expired."""

from typing import Any

from django.core.management.base import BaseCommand

from livedata.services import remove_expired_streams


class Command(BaseCommand):
    help = "Delete the plots and other streams that have expired."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Deleted {remove_expired_streams()} expired runs")
