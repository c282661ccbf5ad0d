"""Files on disk, runs in the database, gaps in run numbers: what never arrived, and its adoption.

What is found is kept until it is settled. Nothing is concluded from what cannot be seen: a file
server that is away is told in a sentence, and not as thousands of missing files.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from workflow_manager import selectors, services
from workflow_manager.data_files import Files, TreeError, files_of, sight_of
from workflow_manager.domain import destinations as names
from workflow_manager.models import Discrepancy, Instrument
from workflow_manager.protocol.codec import DecodeError, decode
from workflow_manager.sql import RECONCILIATION

log = logging.getLogger(__name__)

Kind = Discrepancy.Kind

# So long a message may be on its way before its absence says anything.
PATIENCE = timedelta(minutes=10)
# What the daily look goes back to; what is older was found then, or is history.
DAILY_SPAN = timedelta(days=30)

_ADOPTED = "Adopted by reconcile: the message never arrived."
_LARGEST_NUMBER = 2**31 - 1
_WIDEST_GAP = 10_000
_MOST_MISSING = 10
_AT_ONCE = 500


class ReconciliationError(Exception):
    """Nothing could be compared and nothing was changed; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which runs are looked at: by number, or those since a time; all by default."""

    first: int = 0
    last: int = _LARGEST_NUMBER
    since: datetime | None = None


class Finding(NamedTuple):
    """One disagreement."""

    kind: str
    number: int
    data_file: str


@dataclass(slots=True)
class Reconciliation:
    """What a look found, in order of numbers. `notes` are sentences about what is not known."""

    instrument: str
    findings: list[Finding] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    settled: int = 0
    notes: list[str] = field(default_factory=list)


class _Difference(NamedTuple):
    number: int
    is_without_run: bool
    is_without_file: bool
    data_file: str
    is_old: bool
    previous: int | None


def reconcile(
    instrument: str, scope: Scope | None = None, *, adopt: bool = False
) -> Reconciliation:
    """Compare, keep what disagrees, settle what agrees again; `adopt` records files without runs.

    Raises:
        ReconciliationError: the instrument is not known, or its files cannot be seen.
        django.db.Error: the database is away; what was adopted before is recorded.
    """
    known = selectors.instrument_named(instrument)
    if known is None and not adopt:
        raise ReconciliationError(f"No instrument {instrument.upper()} is known; --adopt makes it.")
    root = Path(settings.FACILITY_ROOT)
    try:
        files = files_of(instrument.lower(), known.facility if known else "", root)
    except TreeError as error:
        raise ReconciliationError(str(error)) from error
    comparison = _Comparison(known, files, scope or Scope(), root)
    result = Reconciliation(instrument.lower(), comparison.findings(), notes=comparison.notes)
    if adopt:
        _adopt(result)
        known = selectors.instrument_named(instrument)
    if known is not None:
        result.settled = _keep(known, result.findings, comparison)
    return result


def reconcile_all() -> int:
    """Look at the last weeks of every instrument; return how many discrepancies are open.

    An instrument whose files cannot be seen is logged, and holds up no other.
    """
    scope = Scope(since=datetime.now(UTC) - DAILY_SPAN)
    for instrument in selectors.instruments():
        try:
            result = reconcile(instrument.name, scope)
        except ReconciliationError as error:
            log.warning("%s was not reconciled: %s", instrument, error)
        else:
            for note in result.notes:
                log.warning("%s: %s", instrument, note)
    return Discrepancy.objects.filter(settled_at=None).count()


def open_discrepancies(*, instrument: str = "", limit: int) -> list[Discrepancy]:
    """What is not settled, newest first, of one instrument or of all, with the instrument."""
    found = Discrepancy.objects.filter(settled_at=None).select_related("instrument")
    if instrument:
        found = found.filter(instrument__name=instrument.lower())
    return list(found.order_by("-found_at", "instrument__name", "-number")[:limit])


class _Comparison:
    """One look at files and runs."""

    def __init__(
        self, instrument: Instrument | None, files: Files, scope: Scope, root: Path
    ) -> None:
        self._instrument_id = instrument.id if instrument else None
        self._root = root
        self._before = datetime.now(UTC) - PATIENCE
        self.first, self.last = _range(self._instrument_id, scope)
        self._seen = self._with_neighbours(files.by_number)
        self._files = {
            number: path for number, path in files.by_number.items() if number in self._seen
        }
        self.notes = list(files.unreadable)
        # In a folder that cannot be read there may be anything.
        self._sees_all = not files.unreadable
        self.judged: list[str] = []

    def findings(self) -> list[Finding]:
        differences = self._differences()
        too_young: set[int] = set()
        found = list(self._without_run(differences, too_young))
        found += self._without_file(differences)
        if self._sees_all:
            self.judged += [Kind.FILE_WITHOUT_RUN, Kind.NUMBER_MISSING]
            found += self._missing(differences, too_young)
        asked = (each for each in found if self.first <= each.number <= self.last)
        return sorted(asked, key=lambda finding: finding.number)

    def _with_neighbours(self, files: Collection[int]) -> range:
        """The numbers that are asked for and the nearest known ones around: gaps have two ends."""
        with connection.cursor() as cursor:
            cursor.execute(
                RECONCILIATION["neighbours"],
                {"instrument_id": self._instrument_id, "first": self.first, "last": self.last},
            )
            below, above = cursor.fetchone() or (None, None)
        lower = [number for number in files if number < self.first]
        upper = [number for number in files if number > self.last]
        lower += [] if below is None else [below]
        upper += [] if above is None else [above]
        return range(max(lower, default=self.first), min(upper, default=self.last) + 1)

    def _differences(self) -> list[_Difference]:
        with connection.cursor() as cursor:
            cursor.execute(
                RECONCILIATION["differences"],
                {
                    "numbers": list(self._files),
                    "instrument_id": self._instrument_id,
                    "first": self._seen.start,
                    "last": self._seen.stop - 1,
                    "before": self._before,
                },
            )
            return [_Difference(*row) for row in cursor.fetchall()]

    def _without_run(
        self, differences: Sequence[_Difference], too_young: set[int]
    ) -> Iterator[Finding]:
        for each in differences:
            if not each.is_without_run:
                continue
            path = self._files[each.number]
            sight = sight_of(path, self._root)
            if sight.is_there and sight.modified_at < self._before.timestamp():
                yield Finding(Kind.FILE_WITHOUT_RUN, each.number, path)
            else:
                too_young.add(each.number)

    def _without_file(self, differences: Sequence[_Difference]) -> list[Finding]:
        found, troubles = [], []
        for each in differences:
            if each.is_without_file:
                sight = sight_of(each.data_file, self._root)
                if sight.trouble:
                    troubles.append(sight.trouble)
                elif not sight.is_there:
                    found.append(Finding(Kind.RUN_WITHOUT_FILE, each.number, each.data_file))
        if troubles:
            self.notes.append(f"Of {len(troubles)} runs the file cannot be seen: {troubles[0]}")
        with_both = len(self._files) - sum(each.is_without_run for each in differences)
        if len(found) > max(_MOST_MISSING, with_both):
            self.notes.append(
                f"The files of {len(found)} runs are not there, and of {with_both} they are; is "
                "all of the file server there? Nothing is concluded from that."
            )
            return []
        if not troubles:
            self.judged.append(Kind.RUN_WITHOUT_FILE)
        return found

    def _missing(
        self, differences: Sequence[_Difference], too_young: set[int]
    ) -> Iterator[Finding]:
        for each in differences:
            if each.previous is None or not each.is_old or each.number in too_young:
                continue
            gap = range(each.previous + 1, each.number)
            if len(gap) > _WIDEST_GAP:
                self.notes.append(
                    f"Between {each.previous} and {each.number} there is no number; that is too "
                    "many to be missing."
                )
                continue
            for number in gap:
                yield Finding(Kind.NUMBER_MISSING, number, "")


def _range(instrument_id: int | None, scope: Scope) -> tuple[int, int]:
    if scope.since is None or instrument_id is None:
        return scope.first, scope.last
    with connection.cursor() as cursor:
        cursor.execute(
            RECONCILIATION["first_since"], {"since": scope.since, "instrument_id": instrument_id}
        )
        [first] = cursor.fetchone() or [0]
    return max(scope.first, min(first, _LARGEST_NUMBER)), scope.last


def _adopt(result: Reconciliation) -> None:
    """Record what would have been recorded; the path alone is the identity, so only once."""
    wanted = [each for each in result.findings if each.kind == Kind.FILE_WITHOUT_RUN]
    for start in range(0, len(wanted), _AT_ONCE):
        received = []
        for finding in wanted[start : start + _AT_ONCE]:
            try:
                received.append(_announcement(finding))
            except DecodeError as error:
                result.notes.append(f"{finding.data_file} cannot be adopted: {error.reason}")
        services.record(received)
        result.adopted += [each.message.run_number for each in received]
    adopted = set(result.adopted)
    result.findings = [
        each
        for each in result.findings
        if each.kind != Kind.FILE_WITHOUT_RUN or each.number not in adopted
    ]


def _announcement(finding: Finding) -> services.Received:
    """What the translation service would have sent: the bare path."""
    path = finding.data_file
    body = path.encode()
    message = decode(names.POSTPROCESS_DATA_READY, body, PurePosixPath("/"))
    message = replace(message, information=_ADOPTED, body={**message.body, "information": _ADOPTED})
    identity = services.identity_of(f"reconciled {path}", body)
    return services.Received(message, identity, datetime.now(UTC))


def _keep(instrument: Instrument, findings: Sequence[Finding], comparison: _Comparison) -> int:
    """Write down what was found; return how many are settled by it."""
    columns: dict[str, Any] = {
        "instrument_id": instrument.id,
        "numbers": [each.number for each in findings],
        "kinds": [str(each.kind) for each in findings],
        "data_files": [each.data_file for each in findings],
        "first": comparison.first,
        "last": comparison.last,
        "judged": [str(kind) for kind in comparison.judged],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RECONCILIATION["note"], columns)
        cursor.execute(RECONCILIATION["settle"], columns)
        return int(cursor.rowcount)
