"""Writes minutes and hours of all series anew, for whole days in UTC.

rebuild_rollups --from 2026-11-01 --to 2026-11-03     these three days

Minutes are made of the samples that there are; where those are gone, they stay as they are and only
hours are written. Values may come in meanwhile.
"""

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dasmon_listener import rollups
from dasmon_listener.partitions import day_partitions


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        for option, name in (("--from", "first"), ("--to", "last")):
            parser.add_argument(
                option, dest=name, type=_day, required=True, help=f"the {name} day, as YYYY-MM-DD"
            )

    def handle(self, *_args: Any, first: datetime, last: datetime, **_options: Any) -> None:
        kept = {day.begin for day in day_partitions()}
        rollups.rebuild(first, last + timedelta(days=1), kept)
        self.stdout.write(f"Minutes and hours from {first:%Y-%m-%d} to {last:%Y-%m-%d} are new.")


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day: write it as 2026-11-21") from error
