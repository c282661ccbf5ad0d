"""Series as files: CSV and JSON of any length, written by PostgreSQL while they are sent.

Nothing is collected: the database is read as fast as the receiver takes it.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection, connections, transaction
from psycopg import sql

from dasmon_listener.domain.envelopes import Grain
from dasmon_listener.domain.series import Kind
from dasmon_listener.sql import EXPORTS
from workflow_manager.models import Instrument

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is exported: series of these names from `begin` until before `end`.

    Samples have the columns name, time (ISO 8601, UTC), value, text, status; minutes and hours,
    once they are rolled up, name, time, minimum, maximum, mean, last, count. Without an instrument
    it is every series of these names.
    """

    names: Sequence[str]
    begin: dt.datetime
    end: dt.datetime
    grain: Grain = Grain.RAW
    instrument: Instrument | None = None
    kind: Kind = Kind.PV


def as_csv(excerpt: Excerpt) -> Iterator[bytes]:
    """The file in pieces, with a line of names first; what is missing is empty.

    A name, or a text that is no number, that a spreadsheet would take for a formula has an
    apostrophe before it.
    """
    cells = _Cells(EXPORTS["csv_name"], EXPORTS["csv_text"])
    return _pieces(_rows(excerpt, EXPORTS["as_csv"], cells))


def as_json(excerpt: Excerpt) -> Iterator[bytes]:
    """An array of objects in pieces, a line each; NaN and infinities are texts."""
    before = b"[\n"
    # No line ends within a row: JSON escapes those of texts.
    for piece in _pieces(_rows(excerpt, EXPORTS["as_json"], _Cells())):
        yield before + piece.removesuffix(b"\n").replace(b"\n", b",\n")
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


async def streamed(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces for an asynchronous server, which would collect those of a plain iterator first.

    They are made in one thread of their own, which gives its database connection back at the end,
    also when the receiver hangs up.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="export") as worker:
        try:
            while piece := await loop.run_in_executor(worker, next, pieces, b""):
                yield piece
        finally:
            worker.submit(_end, pieces)


def _end(pieces: Iterator[bytes]) -> None:
    pieces.close()  # type: ignore[attr-defined]  # a generator
    connections.close_all()


class _Cells(NamedTuple):
    """How names and texts are written."""

    name: str = "s.name"
    text: str = "x.text"


def _rows(excerpt: Excerpt, form: str, cells: _Cells) -> Iterator[bytes]:
    """The rows as PostgreSQL writes them; never a part of one."""
    with transaction.atomic(), connection.cursor() as cursor:
        wanted = {
            "names": list(excerpt.names),
            "kind": excerpt.kind.value,
            "instrument": None if excerpt.instrument is None else excerpt.instrument.pk,
        }
        cursor.execute(EXPORTS["wanted"], wanted)
        rows = sql.SQL(EXPORTS[excerpt.grain.value]).format(
            series=sql.Literal([series for (series,) in cursor.fetchall()]),
            begin=sql.Literal(excerpt.begin),
            end=sql.Literal(excerpt.end),
            name=sql.SQL(cells.name),
            text=sql.SQL(cells.text),
        )
        with cursor.copy(sql.SQL(form).format(rows=rows)) as copy:
            for row in copy:
                yield bytes(row)


def _pieces(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Rows put together, so that each piece is worth being sent."""
    waiting: list[bytes] = []
    length = 0
    for row in rows:
        waiting.append(row)
        length += len(row)
        if length >= _PIECE:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)
