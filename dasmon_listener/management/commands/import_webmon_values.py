"""Copies values, PVs, signals and choices from an installation that WebMon replaces.

After `import_webmon`, which brings the runs. It may be stopped anywhere and started again; a later
start brings what has come since, and leaves what is newer here.
"""

import datetime as dt
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dasmon_listener.moving_in import move_in


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
            "--hours",
            type=float,
            default=12,
            help="how much of the history of values (12: the old system keeps no more)",
        )

    def handle(self, *_args: Any, address: str, hours: float, **_options: Any) -> None:
        try:
            move_in(address, dt.timedelta(hours=hours), self._tell)
        except psycopg.OperationalError as error:
            raise CommandError(
                f"The old database is away: {error} Start again to continue."
            ) from error

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
