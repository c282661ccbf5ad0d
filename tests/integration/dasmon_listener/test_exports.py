"""Files hold every sample as it is, are complete, and cost no memory."""

import asyncio
import csv
import io
import json
import math
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from dasmon_listener import exports, rollups
from dasmon_listener.domain.envelopes import Grain
from dasmon_listener.exports import Excerpt
from tests.integration.dasmon_listener.history import (
    HOUR,
    MINUTE,
    Sample,
    floor,
    forget_all,
    series,
    write,
)
from workflow_manager.models import Instrument

NOW = floor(datetime.now(UTC), HOUR)
ODD = 'a "quoted"\nline, and \\ Ünicode'
pytestmark = pytest.mark.django_db


@pytest.fixture
def arcs(db: None) -> Iterator[Instrument]:
    forget_all()
    arcs = Instrument.objects.create(name="arcs")
    cold, hot = series(arcs, "cold"), series(arcs, "hot")
    write(
        [
            Sample(NOW - 3 * MINUTE, NOW, 1 / 3, cold),
            Sample(NOW - 2 * MINUTE, NOW, None, hot, ODD),
            Sample(NOW - 2 * MINUTE, NOW, math.nan, cold),
            Sample(NOW - MINUTE, NOW, 0.25, hot, "0.2500"),
            Sample(NOW, NOW, 7.0, hot),
        ]
    )
    yield arcs
    forget_all()


def excerpt(arcs: Instrument, grain: Grain = Grain.RAW) -> Excerpt:
    return Excerpt(["hot", "cold", "nobody"], NOW - HOUR, NOW, grain, arcs)


def told(minutes: int) -> str:
    return f"{NOW - minutes * MINUTE:%Y-%m-%dT%H:%M:%S.000000Z}"


def test_csv_has_every_sample_of_the_range(arcs: Instrument) -> None:
    text = b"".join(exports.as_csv(excerpt(arcs))).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["name", "time", "value", "text", "status"],
        ["cold", told(3), "0.3333333333333333", "", ""],
        ["cold", told(2), "NaN", "", ""],
        ["hot", told(2), "", ODD, ""],
        ["hot", told(1), "0.25", "0.2500", ""],
    ]


def test_nothing_is_a_formula_to_a_spreadsheet(arcs: Instrument) -> None:
    hostile = "=HYPERLINK(A1)"
    evil = series(arcs, hostile)
    samples = [(None, "@SUM(1)"), (-2.5, "-2.50"), (None, "-"), (None, "plain=")]
    write(
        Sample(NOW - (9 - place) * MINUTE, NOW, value, evil, text)
        for place, (value, text) in enumerate(samples)
    )
    asked = Excerpt([hostile], NOW - HOUR, NOW, Grain.RAW, arcs)
    rows = list(csv.DictReader(io.StringIO(b"".join(exports.as_csv(asked)).decode())))
    assert {row["name"] for row in rows} == {f"'{hostile}"}
    assert [row["text"] for row in rows] == ["'@SUM(1)", "-2.50", "'-", "plain="]
    exact = json.loads(b"".join(exports.as_json(asked)))
    assert [row["text"] for row in exact] == [text for _, text in samples]
    assert exact[0]["name"] == hostile


def test_json_says_the_same(arcs: Instrument) -> None:
    rows = json.loads(b"".join(exports.as_json(excerpt(arcs))))
    assert [row["value"] for row in rows] == [1 / 3, "NaN", None, 0.25]
    assert rows[2] == {"name": "hot", "time": told(2), "value": None, "text": ODD, "status": None}


def test_nothing_is_an_empty_file(arcs: Instrument) -> None:
    nothing = Excerpt(["nobody"], NOW - HOUR, NOW)
    assert b"".join(exports.as_csv(nothing)) == b"name,time,value,text,status\n"
    assert json.loads(b"".join(exports.as_json(nothing))) == []


def test_minutes_and_hours_are_exported_as_well(arcs: Instrument) -> None:
    rollups.roll_up(NOW + MINUTE)
    rows = json.loads(b"".join(exports.as_json(excerpt(arcs, Grain.MINUTE))))
    assert [(row["name"], row["maximum"], row["count"]) for row in rows] == [
        ("cold", 1 / 3, 1),
        ("cold", None, 1),
        ("hot", None, 1),
        ("hot", 0.25, 1),
    ]
    text = b"".join(exports.as_csv(excerpt(arcs, Grain.HOUR))).decode()
    assert [row["count"] for row in csv.DictReader(io.StringIO(text))] == ["2", "2"]


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_gets_it_piece_by_piece_in_constant_memory(
    arcs: Instrument,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dasmon_sample (at, value, series_id)"
            " SELECT %s::timestamptz - n * interval '1 ms', n / 7.0, %s"
            " FROM generate_series(1, 150000) AS n",
            [NOW, series(arcs, "many")],
        )
    many = Excerpt(["many"], NOW - timedelta(days=1), NOW)

    async def receive(most: int) -> tuple[int, int]:
        pieces = length = 0
        stream = exports.streamed(exports.as_json(many))
        async for piece in stream:
            pieces, length = pieces + 1, length + len(piece)
            if pieces == most:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return pieces, length

    tracemalloc.start()
    pieces, length = asyncio.run(receive(10**6))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 10_000_000 and pieces > 100
    assert peak < length / 10
    assert asyncio.run(receive(2))[0] == 2, "somebody hangs up"
    with connection.cursor() as cursor:  # which would wait for an export that goes on
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute("TRUNCATE dasmon_sample")
        cursor.execute("RESET lock_timeout")
