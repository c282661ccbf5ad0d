"""Copies runs and their history from an installation of the system that WebMon replaces.

It may be stopped anywhere and started again; a later start brings what has come since. It ends
with a table of counts on both sides, and with an error if they do not agree.
"""

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow_manager.moving_in.move import MovingInError, move_in
from workflow_manager.moving_in.old_system import opened


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from",
            dest="address",
            required=True,
            metavar="ADDRESS",
            help="the old database: postgresql://user@host:5432/reporting_db; it is only read. "
            "Keep the password in ~/.pgpass or PGPASSWORD, not here.",
        )
        parser.add_argument(
            "--batch", type=int, default=5000, help="runs in one transaction (default: 5000)"
        )

    def handle(self, *_args: Any, address: str, batch: int, **_options: Any) -> None:
        try:
            with opened(address) as there:
                report = move_in(there, batch, self._tell)
        except MovingInError as error:
            raise CommandError(str(error)) from error
        except psycopg.OperationalError as error:
            raise CommandError(
                f"The old database is away: {error} Start again to continue."
            ) from error
        for line in report.lines():
            self._tell(line)
        if not report.agrees:
            raise CommandError("The counts do not agree; the table says which and why.")

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
