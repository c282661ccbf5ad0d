"""The JSON that the replaced system's PV page asked for (web contract 3.4), key by key."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Latest, Series
from tests.integration.webmon import rows
from tests.integration.webmon.test_pvs import NOW, add_series, arcs

EMPTY_HOURS = [[-ago, 0] for ago in range(1, 24)]


def seconds_before_the_test(seconds: float) -> float:
    """Samples are told relative to a fixed time; these shall be recent."""
    return (NOW - timezone.now()).total_seconds() + seconds


def update(client: Client, query: str = "") -> Any:
    answer = client.get(f"/pvmon/ARCS/update/?{query}")
    assert answer.status_code == 200
    return answer.json()


def plots(client: Client, query: str) -> list[Any]:
    """Names with their points, minutes rounded to a tenth."""
    found = update(client, query)["live_plot_data"]
    return [[name, [[round(at, 1), value] for at, value in points]] for name, points in found]


def add_recent(name: str, *samples: tuple[float, float]) -> Series:
    told = ((seconds_before_the_test(ago), value, None) for ago, value in samples)
    return add_series(name, *told)


def test_it_has_the_keys_and_forms_of_the_contract(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = rows.add_run("arcs", 7, ago=30)
    add_recent("BL18:b", (5, 300.123456))
    add_series("BL18:a", (5, None, "<b>"))
    add_series("BL18:hidden", (5, 1.0, None), is_recorded=False)
    add_series("count_rate", (5, 12.5, None), kind=Kind.STATUS_VALUE)
    with django_assert_max_num_queries(12):
        value = update(user)
    assert set(value) == {
        *("run_rate", "error_rate", "last_run_id", "last_run", "last_run_time"),
        *("last_expt_id", "last_expt", "variables", "das_status", "live_plot_data"),
    }
    assert value["run_rate"] == [[0, 1], *EMPTY_HOURS]
    assert value["error_rate"] == [[0, 0], *EMPTY_HOURS]
    assert (value["last_run_id"], value["last_run"]) == (run.pk, 7)
    assert (value["last_expt_id"], value["last_expt"]) == (run.proposal_id, "IPTS-27800")
    assert set(value["das_status"]) == {"catalog", "reduction", "workflow"}
    assert value["live_plot_data"] == []
    shown = [(each["key"], each["value"]) for each in value["variables"]]
    assert shown[:3] == [("BL18:b", "300.123"), ("BL18:a", "<b>"), ("count_rate", "12.5")]
    assert shown[3][0] == "recording_status"
    assert value["variables"][1]["timestamp"] == "Nov 20, 2026, 6:59 AM"


def test_points_are_minutes_before_now_newest_first(user: Client) -> None:
    add_recent("BL18:Temp", (7000, 1.0), (600, 2.0), (60, 3.0))
    points = [[-1.0, 3.0], [-10.0, 2.0]]
    assert plots(user, "vars=BL18:Temp&time=3600") == [["BL18:Temp", points]]
    assert plots(user, "vars=bl18:temp,&time=3600") == [["bl18:temp", points]]
    assert len(plots(user, "vars=BL18:Temp")[0][1]) == 3  # two hours, if nothing is told


def test_of_fewer_than_two_points_the_latest_twenty_are_shown(user: Client) -> None:
    add_recent("slow", *((86_400.0 + 60 * back, float(back)) for back in range(25, 0, -1)))
    points = plots(user, "vars=slow&time=60")[0][1]
    assert len(points) == 20
    assert points[0] == [-1441.0, 1.0]


def test_without_history_there_are_two_points(user: Client) -> None:
    series = Series.objects.create(instrument=arcs(), name="still", kind=Kind.PV.value)
    at = timezone.now() - dt.timedelta(minutes=5)
    Latest.objects.create(series=series, at=at, received_at=at, value=4.5)
    assert plots(user, "vars=still") == [["still", [[-5.0, 4.5], [0.0, 4.5]]]]


@pytest.mark.parametrize("query", ["vars=BL18:Temp,nobody", "vars=,", "vars=%00", "time=x"])
def test_one_unknown_name_leaves_no_plot(user: Client, query: str) -> None:
    add_recent("BL18:Temp", (60, 3.0), (30, 4.0))
    assert plots(user, query) == []


@pytest.mark.parametrize("time", ["nan", "inf", "-5", "1e400", "", "9" * 400])
def test_odd_lengths_of_time_do_no_harm(user: Client, time: str) -> None:
    add_recent("BL18:Temp", (60, 3.0), (30, 4.0))
    assert len(plots(user, f"vars=BL18:Temp&time={time}")[0][1]) == 2


def test_strangers_get_a_bare_401(client_of: Callable[[str], Client]) -> None:
    arcs()
    answer = client_of("anonymous").get("/pvmon/arcs/update/")
    assert (answer.status_code, answer.content) == (401, b"")
    assert client_of("uploads").get("/pvmon/arcs/update/").status_code == 403
    assert client_of("user").get("/pvmon/nowhere/update/").status_code == 404
    assert client_of("user").get("/pvmon/arcs/update/").headers["Connection"] == "close"
