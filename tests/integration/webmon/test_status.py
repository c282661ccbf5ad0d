"""What a person sees of an instrument now, from rows of a real PostgreSQL."""

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.recording import Recording, recording_state
from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Equipment, Gap, Latest, MonitoredPv, Series
from tests.integration.webmon import rows
from tests.integration.webmon.reported import (
    before,
    choose,
    hear,
    instrument,
    raise_alarm,
    report,
)
from tests.integration.webmon.test_pages import HOSTILE
from workflow_manager.models import Instrument

TEMPERATURE = "BL18:SE:SampleTemp"


def page(client: Client, address: str = "/dasmon/arcs/", **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str = "/dasmon/arcs/") -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def record(of: Instrument, run: str = "214584", ago: float = 1.0) -> None:
    report(of, "recording", "True", ago=ago)
    report(of, "paused", "False", ago=ago)
    report(of, "run_number", run, ago=ago)
    report(of, "count_rate", "90210.4", ago=ago)


def sample(series: Series, values: list[float], step: float = 60) -> None:
    """Samples up to now, `step` seconds apart."""
    now = timezone.now()
    moments = [now - dt.timedelta(seconds=step * back) for back in range(len(values))]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dasmon_sample (at, received_at, value, series_id) VALUES (%s, %s, %s, %s)",
            [(at, at, each, series.pk) for at, each in zip(reversed(moments), values, strict=True)],
        )


@pytest.mark.parametrize(
    ("recording", "paused", "is_adara", "is_known", "state"),
    [
        ("True", "False", True, True, Recording.RECORDING),
        ("true", None, True, True, Recording.RECORDING),
        ("TRUE", "True", True, True, Recording.PAUSED),
        ("False", "True", True, True, Recording.STOPPED),
        ("1", None, True, True, Recording.STOPPED),
        (None, "true", True, True, Recording.STOPPED),
        (None, None, True, False, Recording.UNKNOWN),
        ("true", None, False, True, Recording.NOT_REPORTED),
    ],
)
def test_the_words_for_recording_are_those_of_the_contract(
    recording: str | None, paused: str | None, is_adara: bool, is_known: bool, state: Recording
) -> None:
    assert recording_state(recording, paused, is_adara=is_adara, is_known=is_known) is state


def test_the_verdict_comes_first(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    report(arcs, "proposal_id", "27800")
    report(arcs, "run_title", "Sr2CuO3 at 5 K")
    report(arcs, "total_time", "2993.14")
    report(arcs, "total_charge", "3.03988e+10")
    report(arcs, "pixel_error_rate", "0")
    rows.add_run("arcs", 214583)
    text = page(user)
    assert text.index("Recording</strong> · run") < text.index('id="numbers"')
    assert 'href="/report/arcs/214584/"' in text
    assert 'href="/report/arcs/?proposal=IPTS-27800"' in text
    assert "90,210.4" in text and "49 min 53 s" in text and "3.03988e+10" in text
    shown = value(user)["live"]
    assert [each["name"] for each in shown["others"]] == ["pixel_error_rate"]
    assert [row["number"] for row in value(user)["runs"]["rows"]] == [214583]
    assert page(user, HX_Request="true", HX_Target="live").strip().startswith('<div id="live"')


def test_every_number_has_an_age_that_greys_and_reddens(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    report(arcs, "total_counts", "17", ago=20)
    report(arcs, "total_charge", "18", ago=70)
    text = page(user)

    def freshness(name: str) -> str:
        found = re.search(rf'id="number-{name}".*?data-fresh="(\w+)"', text, re.DOTALL)
        assert found
        return found[1]

    ages = [freshness(name) for name in ("count_rate", "total_counts", "total_charge")]
    assert ages == ["fresh", "stale", "late"]


def test_a_silent_instrument_is_not_said_to_record(user: Client) -> None:
    record(instrument(), ago=700)
    verdict = value(user)["live"]["verdict"]
    assert (verdict["recording"], verdict["tone"]) == ("Recording", "bad")
    assert "as it was when last heard" in page(user)


def test_without_data_the_page_says_so(user: Client) -> None:
    report(instrument("topaz"), "system_dasmon", "0")
    Equipment.objects.create(instrument=instrument("hb2a"), is_adara=False)
    assert "nothing was ever heard from DASMON of TOPAZ" in page(user, "/dasmon/topaz/")
    assert "HB2A does not report through DASMON" in page(user, "/dasmon/hb2a/")
    assert user.get("/dasmon/nowhere/").status_code == 404


def test_chosen_pvs_have_values_lines_and_words_for_what_is_bad(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    choose(arcs, "never:sent", TEMPERATURE, "constant", "text")
    temperature = report(arcs, TEMPERATURE, "301.5", kind=Kind.PV, unit="K", status=3)
    sample(temperature, [float(each) for each in range(100)])
    sample(report(arcs, "constant", "7", kind=Kind.PV, status=0), [7.0] * 100)
    report(arcs, "text", "x = 5 seconds", kind=Kind.PV)
    page(user, HX_Request="true", HX_Target="live")  # which draws the lines
    never, temp, constant, words = value(user)["live"]["pvs"]
    assert (never["at"], temp["shown"], temp["unit"]) == (None, "301.5", "K")
    assert (temp["status"], constant["status"]) == ("far too high", "")
    assert (temp["sparkline"]["lowest"], temp["sparkline"]["highest"]) == (0, 99)
    assert constant["sparkline"]["path"] and not never["sparkline"]["path"]
    assert temp["sparkline"]["expected_every"] == pytest.approx(60, rel=0.1)
    assert words["shown"] == "x = 5 seconds"
    text = page(user)
    assert "no value yet" in text and "from 0 to 99 in the last 2 hours" in text
    assert 'href="/pvmon/arcs/?pv=BL18%3ASE%3ASampleTemp"' in text


def test_numbers_that_are_none_are_shown_and_stay_json(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    Latest.objects.filter(series__name="count_rate").update(value=float("nan"), text=None)
    choose(arcs, TEMPERATURE)
    sample(report(arcs, TEMPERATURE, "1", kind=Kind.PV), [1.0, float("inf"), float("nan"), 2.0])
    Latest.objects.filter(series__name=TEMPERATURE).update(value=float("-inf"), text=None)
    for address in ("/dasmon/", "/dasmon/arcs/"):
        text = page(user, address, Accept="application/json", HX_Request="true", HX_Target="live")
        json.loads(text, parse_constant=pytest.fail)
    live = page(user, HX_Request="true", HX_Target="live")
    assert "nan" in live and "-inf" in live and "from 1 to 2 in" in live


def test_what_is_wrong_is_said_with_what_to_do(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    raise_alarm(arcs, "SID_SVP_HIGH", message="pressure too high", guidance="Close valve V3.")
    hear(arcs, "dasmon")
    hear(arcs, "pvsd", ago=100)
    hear(arcs, "sms", status="2")
    Gap.objects.create(
        instrument=arcs, began_at=before(700), ended_at=before(686), lost=5, reason="overload"
    )
    report(arcs, "system_postprocessing", "Missing ARCS reduction template", ago=90)
    live = value(user)["live"]
    assert {each["name"]: each["light"] for each in live["components"]} == {
        "dasmon": "ok",
        "pvsd": "late",
        "sms": "fault",
    }
    assert live["gaps"].startswith("In the last hour values are missing once, 14 s together")
    assert live["script"]["tone"] == "bad"
    text = page(user)
    assert all(each in text for each in ("Close valve V3.", "to restart it", "that it does not"))
    assert "/alarms/?instrument=arcs" in text


def test_signs_that_disagree_name_the_part_between_them(user: Client) -> None:
    arcs = instrument()
    record(arcs, ago=120)
    hear(arcs, "dasmon")
    report(arcs, "system_dasmon", "0")
    assert "alive and sends no values" in page(user)
    record(arcs)
    choose(arcs, TEMPERATURE)
    report(arcs, TEMPERATURE, "5", kind=Kind.PV, ago=600)
    assert "to look at pvsd" in page(user)


def test_hostile_texts_are_texts(admin: Client) -> None:
    arcs = instrument()
    record(arcs, run=HOSTILE)
    for name in ("run_title", "proposal_id", "system_postprocessing", HOSTILE):
        report(arcs, name, HOSTILE)
    choose(arcs, HOSTILE)
    report(arcs, HOSTILE, HOSTILE, kind=Kind.PV, unit=HOSTILE)
    raise_alarm(arcs, HOSTILE, message=HOSTILE, guidance=HOSTILE)
    hear(arcs, HOSTILE, status=HOSTILE)
    Gap.objects.create(began_at=before(9), ended_at=before(8), reason=HOSTILE)
    for address in (
        "/dasmon/arcs/",
        "/dasmon/",
        "/dasmon/arcs/pvs/?q=img",
        "/dasmon/arcs/signals/",
    ):
        text = page(admin, address)
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text and "<img" not in text


def test_pages_cost_few_statements_in_a_large_facility(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(40):
        each = instrument(f"bl{number}")
        record(each)
        hear(each, "dasmon")
        raise_alarm(each, "SID", level=Level.WARNING)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS (INSERT INTO dasmon_series (instrument_id, name, kind)"
            " SELECT %s, 'BL7:PV:' || n, 0 FROM generate_series(1, 25000) AS n RETURNING id)"
            " INSERT INTO dasmon_latest (series_id, at, received_at, value)"
            " SELECT id, now(), now(), id FROM made",
            [instrument("bl7").pk],
        )
    choose(instrument("bl7"), *(f"BL7:PV:{number}" for number in range(1, 21)))
    rows.add_run("bl7", 1)
    with django_assert_max_num_queries(12):
        page(user, "/dasmon/bl7/")
    with django_assert_max_num_queries(12):
        page(user, "/dasmon/bl7/", HX_Request="true", HX_Target="live")
    with django_assert_max_num_queries(8):  # the lines of PVs are kept for some seconds
        page(user, "/dasmon/bl7/", HX_Request="true", HX_Target="live")
    with django_assert_max_num_queries(12):
        tiles = value(user, "/dasmon/")["now"]["tiles"]
    assert len(tiles) == 40
    assert {tile["reported"]["recording"] for tile in tiles} == {"Recording"}
    assert {tile["alarms"]["count"] for tile in tiles} == {1}


def test_tiles_say_what_instruments_do(user: Client) -> None:
    record(instrument())
    report(instrument("seq"), "recording", "False", ago=60)
    Equipment.objects.create(instrument=instrument("old"), is_alive=False)
    hear(instrument("common"), "workflowmgr")
    raise_alarm(instrument(), "SID", level=Level.FATAL)
    arcs, seq = value(user, "/dasmon/")["now"]["tiles"]
    assert (arcs["reported"]["recording"], arcs["reported"]["run_number"]) == (
        "Recording",
        "214584",
    )
    assert seq["reported"]["recording"] == "Stopped"
    text = page(user, "/dasmon/")
    assert "90,210 /s" in text and "alarm is open, the worst: fatal" in text
    assert 'href="/dasmon/arcs/"' in text


@pytest.mark.parametrize(
    ("role", "group", "answer"),
    [
        ("anonymous", "", 302),
        ("uploads", "", 403),
        ("user", "", 403),
        ("user", "SEQInstrumentTeam", 403),
        ("user", "ARCSInstrumentTeam", 200),
        ("scientist", "", 200),
        ("admin", "", 200),
    ],
)
def test_the_instruments_staff_choose_pvs(
    role: str, group: str, answer: int, client_of: Callable[[str], Client]
) -> None:
    arcs = instrument()
    choose(arcs, "a")
    client = client_of(role)
    if group:
        User.objects.get(username=role).groups.add(Group.objects.create(name=group))
    assert client.get("/dasmon/arcs/pvs/").status_code == answer
    client.post("/dasmon/arcs/pvs/", {"add": "b"})
    assert MonitoredPv.objects.filter(name="b").exists() is (answer == 200)


def test_pvs_are_found_added_ordered_and_removed(admin: Client) -> None:
    arcs = instrument()
    for name in ("BL18:Temp", "BL18:Field", "BL18:TempSet"):
        report(arcs, name, "5", kind=Kind.PV)
    address = "/dasmon/arcs/pvs/"
    found = value(admin, f"{address}?q=temp")["found"]
    assert [each["name"] for each in found] == ["BL18:Temp", "BL18:TempSet"]
    for act, name in [
        ("add", "BL18:Temp"),
        ("add", "BL18:Field"),
        ("add", "not sent yet"),
        ("add", "BL18:Temp"),
        ("up", "not sent yet"),
        ("up", "BL18:Temp"),
        ("down", "BL18:Temp"),
        ("remove", "BL18:Field"),
        ("remove", "gone long ago"),
    ]:
        assert admin.post(address, {act: name, "q": "temp"}).status_code == 302
    shown = value(admin, f"{address}?q=temp")
    assert [each["name"] for each in shown["chosen"]] == ["not sent yet", "BL18:Temp"]
    assert [each["name"] for each in shown["found"]] == ["BL18:TempSet"]
    assert value(admin)["live"]["pvs"][0]["name"] == "not sent yet"


def test_programs_of_the_replaced_system_read_all_instruments(user: Client) -> None:
    record(instrument())
    Equipment.objects.create(instrument=instrument("hb2a", "HFIR"), is_adara=False)
    hear(instrument("common", ""), "workflowmgr", ago=20)
    rows.add_run("arcs", 7)
    shown = user.get("/dasmon/update/").json()
    assert "instrument_rates" not in shown
    assert shown["postprocess_status"] == {"catalog": 0, "reduction": 0, "workflow": 1}
    arcs, common, hb2a = shown["instruments"]
    assert arcs == {
        "name": "arcs",
        "recording_status": "Recording",
        "url": "/dasmon/arcs/",
        "diagnostics_url": "/dasmon/arcs/diagnostics/",
        "dasmon_status": -1,
        "pvstreamer_status": -1,
        "facility": "SNS",
    }
    assert (common["name"], common["recording_status"]) == ("common", "Stopped")
    assert (hb2a["recording_status"], hb2a["url"]) == ("-", "/dasmon/hb2a/runs/")
    rates = user.get("/dasmon/dashboard/update/?plots").json()["instrument_rates"]["arcs"]
    assert rates["run_rate"][:2] == [[0, 1], [-1, 0]] and len(rates["error_rate"]) == 24


def test_programs_of_the_replaced_system_read_one_instrument(user: Client) -> None:
    arcs = instrument()
    record(arcs)
    sample(report(arcs, "count_rate", "90210.4"), [float(each) for each in range(50)], step=600)
    sample(report(arcs, "total_counts", "5", ago=1), [1.0, 2.0])
    report(arcs, "run_title", "text")
    hear(arcs, "dasmon", ago=20)
    hear(arcs, "pvstreamer", status="1")
    run = rows.add_run("arcs", 7)
    shown = user.get(
        "/dasmon/arcs/update/?vars=count_rate,total_counts,nothing,&time=3600&draw=3&length=1"
    ).json()
    keyed = {each["key"]: each["value"] for each in shown["variables"]}
    assert keyed["recording_status"] == "Recording" and keyed["recording"] == "True"
    assert (keyed["count_rate"], keyed["run_number"]) == ("90210.4", "214584")
    assert re.fullmatch(
        r"\w{3} \d{1,2}, \d{4}, \d{1,2}:\d\d [AP]M", shown["variables"][0]["timestamp"]
    )
    assert shown["das_status"] == {
        "catalog": 0,
        "reduction": 0,
        "workflow": 2,
        "dasmon": 1,
        "pvstreamer": 2,
    }
    rate, counts = shown["live_plot_data"]
    assert (rate[0], [point[1] for point in rate[1]]) == ("count_rate", [49, 48, 47, 46, 45, 44])
    assert rate[1][1][0] == pytest.approx(-10, abs=0.1)
    assert (counts[0], len(counts[1])) == ("total_counts", 2)
    assert (shown["last_run"], shown["last_expt"], shown["draw"]) == (7, "IPTS-27800", 3)
    assert shown["recordsTotal"] == 1
    assert shown["data"][0]["run"] == "<a href='/report/arcs/7/'>7</a>"
    assert shown["data"][0]["status"] == f"<span id='run_id_{run.pk}' class='green'>complete</span>"


def test_an_old_plot_shows_the_newest_twenty(user: Client) -> None:
    arcs = instrument()
    sample(report(arcs, "count_rate", "1"), [float(each) for each in range(30)], step=600)
    shown = user.get("/dasmon/arcs/update/?vars=count_rate&time=-5").json()
    assert [point[1] for point in shown["live_plot_data"][0][1]] == list(range(29, 9, -1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/dasmon/arcs/runs/", "/report/arcs/"),
        ("/dasmon/ARCS/diagnostics/", "/dasmon/arcs/#components"),
        ("/dasmon/common/diagnostics/", "/system/"),
        ("/dasmon/dashboard/", "/dasmon/"),
        ("/dasmon/expert/", "/dasmon/"),
        ("/dasmon/summary/", "/report/"),
    ],
)
def test_addresses_of_the_replaced_system_lead_on(old: str, new: str, user: Client) -> None:
    instrument()
    response = user.get(old)
    assert (response.status_code, response.headers["Location"]) == (302, new)


def test_bad_addresses_are_not_found(user: Client, tmp_path: Path) -> None:
    instrument()
    assert user.get("/dasmon/arcs/?before=nonsense").status_code == 404
    assert user.get("/dasmon/arcs/update/?time=nan&start=-9&length=-1&vars=%00").status_code == 200


def test_a_storm_of_alarms_leaves_a_page_that_can_be_read(user: Client) -> None:
    arcs = instrument()
    report(arcs, "recording", "True")
    for number in range(60):
        raise_alarm(arcs, f"chopper {number}", level=Level.WARNING)
    raise_alarm(arcs, "vacuum", level=Level.FATAL)
    found = value(user)
    live = found.get("live", found)
    assert (len(live["alarms"]), live["count_alarms"]) == (50, 61)
    assert live["alarms"][0]["name"] == "vacuum"
    assert "The first 50 of 61 are shown" in page(user)
