"""Compares an instrument's files with its runs, and says what never arrived.

reconcile ARCS                        all of it
reconcile ARCS --since 2026-11-01     runs since then
reconcile ARCS --runs 1000-2000       these numbers
reconcile ARCS --adopt                record files without runs, as if announced now
"""

import json
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow_manager.reconciliation import (
    Reconciliation,
    ReconciliationError,
    Scope,
    reconcile,
)

_LARGEST_NUMBER = 2**31 - 1


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("instrument", help="its name, in any case")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--since", type=_day, help="only runs since this day (YYYY-MM-DD, UTC)")
        which.add_argument("--runs", type=_numbers, help="only these numbers, such as 1000-2000")
        parser.add_argument("--adopt", action="store_true", help="record files without runs")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *_args: Any, instrument: str, **options: Any) -> None:
        first, last = options["runs"] or (0, _LARGEST_NUMBER)
        scope = Scope(first, last, options["since"])
        try:
            result = reconcile(instrument, scope, adopt=options["adopt"])
        except ReconciliationError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(_content(result)))
        else:
            self._tell(result)

    def _tell(self, result: Reconciliation) -> None:
        for finding in result.findings:
            line = f"{finding.number:>10}  {finding.kind:<17} {finding.data_file}"
            self.stdout.write(_plain(line).rstrip())
        for number in result.adopted:
            self.stdout.write(f"{number:>10}  adopted")
        for note in result.notes:
            self.stderr.write(_plain(note))
        self.stdout.write(
            f"{result.instrument.upper()}: {len(result.findings)} open, {result.settled} settled, "
            f"{len(result.adopted)} adopted."
        )


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a day, such as 2026-11-01") from error


def _numbers(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (first.isascii() and first.isdigit() and (not dash or last.isdigit())):
        raise ArgumentTypeError(f"{text!r} is not a range, such as 1000-2000")
    numbers = (int(first), int(last) if dash else int(first))
    if not 0 <= numbers[0] <= numbers[1] <= _LARGEST_NUMBER:
        raise ArgumentTypeError(f"{text!r} is not a range of run numbers")
    return numbers


def _content(result: Reconciliation) -> dict[str, Any]:
    return {
        "instrument": result.instrument,
        "open": [finding._asdict() for finding in result.findings],
        "adopted": result.adopted,
        "settled": result.settled,
        "notes": result.notes,
    }


def _plain(text: str) -> str:
    """Without what would steer the terminal: a file may have any name."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
