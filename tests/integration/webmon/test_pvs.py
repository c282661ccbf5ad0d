"""The explorer of PVs: its page, its list, and the values that it draws."""

import asyncio
import csv
import datetime as dt
import io
import json
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Gap, Latest, Series
from tests.integration.webmon import rows
from webmon.pvs.curves import MOST_RUNS
from webmon.pvs.pages import ROWS
from workflow_manager.models import Instrument, Proposal, Run

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HOUR = "from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z"

Sample = tuple[float, float | None, str | None]


def arcs() -> Instrument:
    return Instrument.objects.get_or_create(name="arcs", defaults={"facility": "SNS"})[0]


def add_series(name: str, *samples: Sample, kind: Kind = Kind.PV, **more: Any) -> Series:
    """A value of ARCS; a sample is seconds before `NOW`, a number or None, and perhaps a text."""
    series = Series.objects.create(instrument=arcs(), name=name, kind=kind.value, **more)
    told = [(NOW - dt.timedelta(seconds=ago), value, text) for ago, value, text in samples]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dasmon_sample (series_id, at, received_at, value, text)"
            " VALUES (%s, %s, %s, %s, %s)",
            [(series.pk, at, at, value, text) for at, value, text in told],
        )
    at, value, text = told[-1] if told else (NOW, 0.0, None)
    status = 0 if kind is Kind.PV else None
    Latest.objects.create(
        series=series, at=at, received_at=at, value=value, text=text, status=status
    )
    return series


def get(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return str(response.content.decode())


def series(client: Client, query: str) -> Any:
    """The answer, which must be JSON as browsers read it: without nan."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(get(client, f"/pvmon/arcs/series/?{query}"), parse_constant=refuse)


def test_the_page_says_what_was_chosen_and_lists_all_pvs(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    add_series("BL18:Temp", (5, 300.25, None), unit="K")
    add_series("BL18:Sample", (5, None, "Fe<3>"))
    add_series("BL18:Hidden", (5, 1.0, None), is_recorded=False)
    add_series("count_rate", (5, 1.0, None), kind=Kind.STATUS_VALUE)
    with django_assert_max_num_queries(12):
        text = get(user, "/pvmon/ARCS/?pv=BL18:Temp&pv=BL18:Temp&value=count_rate&range=1d")
    assert 'data-range="1d" aria-current="true"' in text
    assert "Take BL18:Temp away" in text and text.count("Take BL18:Temp away") == 1
    assert "300.25" in text and "Fe&lt;3&gt;" in text and "<b>" not in text
    assert "BL18:Hidden" not in text
    assert "data-rule" not in text  # rules are made by those who tend the instrument
    shown = json.loads(get(user, "/pvmon/arcs/?pv=BL18:Temp&format=json"))
    assert [row["name"] for row in shown["values"]["rows"]] == ["BL18:Sample", "BL18:Temp"]
    assert [chip["name"] for chip in shown["chips"]] == ["BL18:Temp"]


def test_whoever_tends_an_instrument_is_offered_rules(admin: Client) -> None:
    arcs()
    assert 'data-rule="/alarms/rules/new/"' in get(admin, "/pvmon/arcs/")


def test_the_list_goes_on_by_name_and_is_filtered(user: Client) -> None:
    for number in range(ROWS + 2):
        add_series(f"BL18:Many:{number:03}")
    add_series("BL18:x%y_z")

    def names(query: str) -> tuple[list[str], str]:
        value = json.loads(get(user, f"/pvmon/arcs/?format=json&{query}"))["values"]
        return [row["name"] for row in value["rows"]], value["after"]

    first, after = names("")
    assert (len(first), after) == (ROWS, f"BL18:Many:{ROWS - 1:03}")
    rest, end = names(f"after={after}")
    assert len(rest) == 3 and end == "" and not set(first) & set(rest)
    assert names("part=many:001")[0] == ["BL18:Many:001"]
    assert names("part=%25y_")[0] == ["BL18:x%y_z"]
    part = user.get("/pvmon/arcs/?part=zzz", headers={"HX-Request": "true", "HX-Target": "values"})
    assert part.content.decode().startswith('<div id="values"')
    assert "No PV has “zzz” in its name." in part.content.decode()


def test_a_time_of_the_facility_becomes_an_address_that_all_understand(user: Client) -> None:
    arcs()
    answer = user.get("/pvmon/arcs/?pv=A%26B&from=2026-11-20T18:00&to=2026-11-20T18:30:05")
    assert answer.status_code == 302
    expected = "?pv=A%26B&from=2026-11-20T23%3A00%3A00Z&to=2026-11-20T23%3A30%3A05Z"
    assert answer.headers["Location"] == f"/pvmon/arcs/{expected}"
    text = get(user, f"/pvmon/arcs/{expected}")
    assert 'value="2026-11-20T18:00:00"' in text  # the form tells the facility's time again


def test_curves_come_with_runs_and_gaps(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    add_series("BL18:Temp", (3601, 1.0, None), (1800, 2.5, None), (60, 3.5, None), unit="K")
    Gap.objects.create(
        instrument=arcs(),
        began_at=NOW - dt.timedelta(minutes=20),
        ended_at=NOW - dt.timedelta(minutes=10),
        lost=12,
        reason="too many came",
    )
    add_runs(3)
    with django_assert_max_num_queries(12):
        answer = user.get(f"/pvmon/arcs/series/?pv=BL18:Temp&pv=none&{HOUR}")
    assert answer.headers["Server-Timing"].startswith("values;dur=")
    assert "total;dur=" in answer.headers["Server-Timing"]
    value = answer.json()
    temperature, unknown = value["series"]
    assert (temperature["name"], temperature["unit"], temperature["level"]) == (
        *("BL18:Temp", "K"),
        "raw",
    )
    assert (temperature["mean"], temperature["count"]) == ([2.5, 3.5], [1, 1])
    assert (temperature["last"], temperature["minimum"]) == (3.5, None)  # told only once
    assert temperature["at"][1] == NOW.timestamp() - 60
    assert (unknown["is_known"], unknown["at"], unknown["latest_at"]) == (False, [], None)
    assert [(gap["lost"], gap["reason"]) for gap in value["gaps"]] == [(12, "too many came")]
    # The run before the range goes on into it; the newest is still acquiring.
    assert [run["number"] for run in value["runs"]] == [1, 2, 3]
    assert value["runs"][0]["to"] == value["runs"][1]["from"]
    assert (value["runs"][2]["is_acquiring"], value["runs"][2]["to"]) == (True, NOW.timestamp())
    assert value["runs"][2]["address"] == "/report/arcs/3/"
    assert (value["zone"], value["offset"]) == ("EST", -5 * 3600)


def add_runs(count: int) -> None:
    """Runs of half an hour, the last one acquiring since ten minutes before `NOW`."""
    proposal = Proposal.objects.create(name="IPTS-1")
    for number in range(1, count + 1):
        begun = NOW - dt.timedelta(minutes=10 + 30 * (count - number))
        Run.objects.create(
            instrument=arcs(),
            proposal=proposal,
            number=number,
            created_at=begun,
            # Its file is ready a while after the next run began.
            data_ready_at=begun + dt.timedelta(minutes=31) if number < count else None,
        )


def test_too_many_runs_are_no_bands(user: Client) -> None:
    add_runs(MOST_RUNS + 1)
    value = series(user, "from=2026-01-01T00:00:00Z&to=2026-11-20T12:00:00Z")
    assert (value["runs"], value["runs_are_cut"]) == ([], True)


def test_a_status_value_that_is_asked_for_as_a_pv_is_found(user: Client) -> None:
    add_series("count_rate", (30, 7.0, None), kind=Kind.STATUS_VALUE)
    for parameter in ("pv", "value"):
        found = series(user, f"{parameter}=count_rate&{HOUR}")["series"][0]
        assert (found["parameter"], found["kind"]) == (parameter, "status value")
        assert found["mean"] == [7.0]


def test_numbers_that_json_has_no_word_for_do_no_harm(user: Client) -> None:
    odd = [(40.0, math.nan, None), (30.0, math.inf, None), (20.0, 1.5, None)]
    add_series("odd", *odd, (10.0, None, "off <b>"))
    found = series(user, f"pv=odd&{HOUR}")["series"][0]
    assert found["mean"][2] == 1.5 and None in found["mean"]
    assert found["texts"][-1] == [NOW.timestamp() - 10, "off <b>"]
    assert found["latest"] == "off <b>"


def test_texts_are_told_also_of_long_times_beside_many_numbers(user: Client) -> None:
    """Minutes and hours hold no texts, so these are read by themselves."""
    now = timezone.now()
    ago = (now - NOW).total_seconds()
    add_series("name", (3 * 86_400 - ago, None, "empty"), (3600 - ago, None, "Fe"))
    add_series("number", *((3600.0 * hour - ago, 1.0, None) for hour in range(48, 0, -1)))
    found = series(user, "pv=number&pv=name&range=1y&points=2")["series"]
    assert [text for _, text in found[1]["texts"]] == ["empty", "Fe"]
    assert sum(found[0]["count"]) == 48


def test_there_are_never_more_points_than_were_asked_for(user: Client) -> None:
    add_series("many", *((float(ago), math.sin(ago), None) for ago in range(3000, 0, -1)))
    found = series(user, f"pv=many&points=50&{HOUR}")["series"][0]
    assert len(found["at"]) <= 50
    assert sum(found["count"]) == 3000
    assert max(found["maximum"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "query",
    [
        "points=0",
        "points=-1",
        "points=2001",
        "points=1e3",
        "points=" + "9" * 5000,
        "points=٣٠٠",
        "range=forever",
        "from=now",
        "from=%00",
        "from=2026-11-20T11:00:00Z&to=2026-11-20T10:00:00Z",
        "from=0001-01-01",
        "&".join(f"pv={n}" for n in range(9)),
        "pv=" + "x" * 1025,
    ],
)
def test_what_cannot_be_drawn_is_refused_with_a_sentence(user: Client, query: str) -> None:
    arcs()
    answer = user.get(f"/pvmon/arcs/series/?{query}")
    assert answer.status_code == 400
    assert answer.json()["problem"].endswith(".")
    text = get(user, f"/pvmon/arcs/?{query}", 400)
    assert 'role="alert"' in text


@pytest.mark.parametrize(
    "query",
    [
        "pv=%00&pv=",
        "pv='; DROP TABLE dasmon_sample; --",
        "pv=%F0%9F%94%A5&pv=a%0Ab",
        "value=<script>alert(1)</script>",
        "from=1970-01-01&points=2",
    ],
)
def test_odd_names_and_times_are_names_and_times(user: Client, query: str) -> None:
    add_series("BL18:Temp", (5, 1.0, None))
    assert not any(each["is_known"] for each in series(user, query)["series"])
    assert "<script>alert" not in get(user, f"/pvmon/arcs/?{query}".replace("from=", "x="))


def test_names_are_suggested_of_both_kinds(user: Client) -> None:
    add_series("BL18:Rate")
    add_series("count_rate", kind=Kind.STATUS_VALUE)
    add_series("hidden_rate", is_recorded=False)
    value = json.loads(get(user, "/pvmon/arcs/names/?part=RATE"))
    found = {(each["name"], each["parameter"]) for each in value["names"]}
    assert found == {("BL18:Rate", "pv"), ("count_rate", "value")}
    assert value["has_more"] is False
    assert json.loads(get(user, "/pvmon/arcs/names/?part=%25%00%5C"))["names"] == []


ADDRESSES = ["", "series/?pv=BL18:Temp", "names/?part=a", "export.csv?pv=BL18:Temp"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_people_with_an_account_see_values(
    client_of: Callable[[str], Client], address: str
) -> None:
    arcs()
    assert client_of("anonymous").get(f"/pvmon/arcs/{address}").status_code == 302
    assert client_of("uploads").get(f"/pvmon/arcs/{address}").status_code == 403
    assert client_of("user").get(f"/pvmon/arcs/{address}").status_code == 200
    assert client_of("user").post(f"/pvmon/arcs/{address}").status_code == 405
    assert client_of("user").get(f"/pvmon/nowhere/{address}").status_code == 404
    assert client_of("user").get(f"/pvmon/a%00b/{address}").status_code == 404


def test_a_file_has_every_sample_of_the_time(user: Client) -> None:
    add_series("BL18:Temp", (3601, 1.0, None), (1800, 2.5, None), (60, None, 'a "b", c'))
    add_series("other", (60, 7.0, None))
    answer = user.get(f"/pvmon/arcs/export.csv?pv=BL18:Temp&{HOUR}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    expected = 'attachment; filename="ARCS-2026-11-20T11-00-00Z-raw.csv"'
    assert answer.headers["Content-Disposition"] == expected
    lines = list(csv.reader(io.StringIO(answer.getvalue().decode())))
    assert lines[0] == ["name", "time", "value", "text", "status"]
    assert [line[2:4] for line in lines[1:]] == [["2.5", ""], ["", 'a "b", c']]
    assert lines[1][1].startswith("2026-11-20T11:30:00")
    rows = json.loads(user.get(f"/pvmon/arcs/export.json?pv=BL18:Temp&{HOUR}").getvalue())
    assert [row["value"] for row in rows] == [2.5, None]
    hours = user.get(f"/pvmon/arcs/export.csv?pv=BL18:Temp&level=hour&{HOUR}").getvalue()
    assert b"minimum" in hours


@pytest.mark.parametrize(
    "query", ["", "pv=a&value=b", "pv=a&level=day", "pv=a&from=now", "pv=a&level=raw%00"]
)
def test_what_is_no_file_is_refused_with_a_sentence(user: Client, query: str) -> None:
    arcs()
    for form in ("csv", "json"):
        answer = user.get(f"/pvmon/arcs/export.{form}?{query}")
        assert answer.status_code == 400
        assert answer.json()["problem"].endswith(".")
    assert user.get("/pvmon/arcs/export.exe?pv=a").status_code == 404


SAMPLES = 200_000


@pytest.mark.django_db(transaction=True)
def test_a_large_file_is_sent_while_it_is_read(tmp_path: Path) -> None:
    """Sent from an asynchronous server, it never lies in memory as a whole."""
    big = add_series("big", (1, 1.0, None))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dasmon_sample (series_id, at, value)"
            " SELECT %s, %s - n * interval '10 ms', n / 7.0::float8 FROM generate_series(2, %s) n",
            [big.pk, NOW, SAMPLES],
        )
    person = rows.account("user", tmp_path)

    async def received() -> tuple[int, int, int]:
        client = AsyncClient()
        await client.aforce_login(person)
        answer = await client.get(f"/pvmon/arcs/export.csv?pv=big&{HOUR}")
        lines = size = 0
        tracemalloc.start()
        async for piece in answer.streaming_content:  # type: ignore[attr-defined]
            lines, size = lines + piece.count(b"\n"), size + len(piece)
        await sync_to_async(connections.close_all)()  # of the thread that views ran in
        return lines, size, tracemalloc.get_traced_memory()[1]

    try:
        lines, size, peak = asyncio.run(received())
    finally:
        tracemalloc.stop()
    assert lines == SAMPLES + 1  # the names of the columns
    assert size > 8_000_000
    assert peak < 2_000_000
