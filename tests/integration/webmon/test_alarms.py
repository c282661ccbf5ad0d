"""Pages about alarms: what needs somebody, what is handled, who may answer."""

import datetime as dt
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener import alarms
from dasmon_listener.alarm_ledger import AlarmKey, Assertion
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.series import Kind
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.domain.silence import silence_of
from dasmon_listener.models import (
    Alarm,
    AlarmRule,
    AlarmSetting,
    Component,
    DeliveryAttempt,
    Notification,
    Recipient,
    Series,
)
from dasmon_listener.previews import Occurrence
from tests.integration.webmon import reported, rows
from webmon.alarms import pages
from webmon.alarms.templatetags.alarms import occurrence_line
from workflow_manager.models import Instrument

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def page(client: Client, address: str, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def value(client: Client, address: str) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def names(found: Any) -> list[str]:
    return [row["name"] for row in found]


def said(client: Client, response: Any) -> str:
    """What the page says to which a change leads."""
    assert response.status_code == 302, response.content.decode()
    return page(client, response["Location"])


def put_into_the_team_of_arcs(username: str) -> None:
    team, _ = Group.objects.get_or_create(name="ARCSInstrumentTeam")
    User.objects.get(username=username).groups.add(team)


def test_what_needs_somebody_is_worst_and_newest_first(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows.raise_alarm("old", ago=90)
    rows.raise_alarm("fatal", level=Level.FATAL, instrument="cncs", ago=500)
    rows.raise_alarm("new", ago=10)
    rows.raise_alarm("only to know", level=Level.INFO)
    seen = rows.raise_alarm("seen")
    alarms.acknowledge(seen, User.objects.get(), "I look")
    with django_assert_max_num_queries(12):
        text = page(admin, "/alarms/")
    assert "<title>(3) Alarms" in text
    shown = value(admin, "/alarms/")
    assert names(shown["needing"]) == ["fatal", "new", "old"]
    assert names(shown["handled"]) == ["seen", "only to know"]
    assert [(each["instrument"], each["needing"], each["level"]) for each in shown["roll_up"]] == [
        ("arcs", 2, "error"),
        ("cncs", 1, "fatal"),
    ]
    assert "I look" in text and "SV pressure too high" in text
    assert re.search(r'id="alarm-count" class="badge" data-level="fatal"><span>3<', text)


def test_many_alarms_cost_no_more_statements(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        rows.raise_alarm(f"SID_{number}", instrument=f"inst{number % 5}")
    with django_assert_max_num_queries(8):
        page(admin, "/alarms/")


def test_the_address_filters(user: Client) -> None:
    rows.raise_alarm("A")
    rows.raise_alarm("B", instrument="cncs", level=Level.WARNING)
    assert names(value(user, "/alarms/?instrument=CNCS")["needing"]) == ["B"]
    assert names(value(user, "/alarms/?level=error")["needing"]) == ["A"]
    assert names(value(user, "/alarms/?origin=rule")["needing"]) == []
    assert len(value(user, "/alarms/?origin=nonsense&level=loud")["needing"]) == 2
    text = page(user, "/alarms/?instrument=cncs")
    assert "<title>(1) Alarms" in text
    assert "Show all" in page(user, "/alarms/?instrument=nowhere")


def test_the_page_asks_again_for_its_parts_only(admin: Client) -> None:
    rows.raise_alarm()
    text = page(admin, "/alarms/", HX_Request="true", HX_Target="alarms")
    assert "<html" not in text and "<h1" not in text
    for part in ("roll-up", "needing", "handled", "shelved"):
        assert f'id="{part}"' in text and f'id="{part}"' in page(admin, "/alarms/")


def test_several_are_acknowledged_at_once(admin: Client) -> None:
    one, other, third = rows.raise_alarm("A"), rows.raise_alarm("B"), rows.raise_alarm("C")
    typed = {"alarm": [one.id, other.id], "comment": "We are there"}
    answer = admin.post("/alarms/acknowledge/?level=error", typed)
    assert answer["Location"] == "/alarms/?level=error"
    assert "2 alarms acknowledged." in said(admin, answer)
    for alarm in Alarm.objects.filter(id__in=[one.id, other.id]):
        assert (str(alarm.acknowledged_by), alarm.comment) == ("admin", "We are there")
    assert Alarm.objects.get(id=third.id).acknowledged_at is None
    # The button in a row means that one, whatever is ticked.
    admin.post("/alarms/acknowledge/", {"only": third.id, "alarm": [one.id]})
    assert Alarm.objects.get(id=third.id).acknowledged_at is not None
    again = admin.post("/alarms/acknowledge/", typed | {"comment": "Me too"})
    assert "0 alarms acknowledged. 2 alarms had been settled before." in said(admin, again)
    assert Alarm.objects.get(id=one.id).comment == "We are there"


def test_nothing_ticked_says_so_and_keeps_the_words(admin: Client) -> None:
    rows.raise_alarm()
    answer = admin.post("/alarms/acknowledge/", {"comment": "much to say"})
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "No alarm is ticked." in text and 'value="much to say"' in text
    assert admin.post("/alarms/acknowledge/", {"alarm": "1x"}).status_code == 404


@pytest.mark.parametrize(
    ("until", "hours"), [("1h", 1.0), ("8h", 8.0), ("morning", None), ("date", None)]
)
def test_a_shelf_has_an_end_a_reason_and_a_name(
    until: str, hours: float | None, admin: Client
) -> None:
    alarm, before = rows.raise_alarm(), timezone.now()
    date = timezone.localtime(before) + dt.timedelta(days=3)
    typed = {"only": alarm.id, "until": until, "date": f"{date:%Y-%m-%dT%H:%M}"}
    refused = admin.post("/alarms/shelve/", typed)
    assert refused.status_code == 409 and "Write a reason" in refused.content.decode()
    assert not AlarmSetting.objects.filter(shelved_until__isnull=False).exists()
    text = said(admin, admin.post("/alarms/shelve/", typed | {"comment": "Known, no beam"}))
    setting = AlarmSetting.objects.get()
    assert setting.shelved_until is not None
    end = timezone.localtime(setting.shelved_until)
    if hours is not None:
        assert abs((end - before).total_seconds() / 3600 - hours) < 0.1
    elif until == "morning":
        assert (end.date() - timezone.localtime(before).date()).days == 1
        assert end.time() == dt.time(8)
    else:
        assert end == date.replace(second=0, microsecond=0)
    assert "Known, no beam" in text and "by admin" in text
    assert names(value(admin, "/alarms/")["handled"]) == ["SID_SVP_HIGH"]
    off = admin.post("/alarms/unshelve/", {"instrument": "arcs", "name": "SID_SVP_HIGH"})
    assert "no longer on a shelf" in said(admin, off)
    assert names(value(admin, "/alarms/")["needing"]) == ["SID_SVP_HIGH"]


@pytest.mark.parametrize(
    "date", ["", "soon", "2020-01-01T00:00", "2999-01-01T00:00", "2026-13-45T99:99"]
)
def test_a_shelf_without_a_sensible_end_is_refused_in_words(date: str, admin: Client) -> None:
    typed = {"only": rows.raise_alarm().id, "until": "date", "date": date, "comment": "because"}
    answer = admin.post("/alarms/shelve/", typed)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.content.decode()
    assert 'value="because"' in answer.content.decode()


def test_a_shelf_outlives_its_alarm(admin: Client) -> None:
    alarm = rows.raise_alarm()
    until = timezone.now() + dt.timedelta(hours=1)
    alarms.shelve(alarm.instrument, alarm.name, until, User.objects.get(), "x")
    with transaction.atomic():
        now = timezone.now()
        alarms.receive([SignalReport("arcs", alarm.name, None, "", "", now)], now)
    shown = value(admin, "/alarms/")
    assert shown["handled"] == [] and names(shown["shelved"]) == [alarm.name]


def test_one_alarm_is_told_whole(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with transaction.atomic():
        before = rows.raise_alarm(ago=900)
        then = timezone.now() - dt.timedelta(seconds=800)
        alarms.receive([SignalReport("arcs", before.name, None, "", "", then)], then)
    alarm, person = rows.raise_alarm(), User.objects.get()
    webhook = Recipient.objects.create(owner=person, way="slack", address="https://hook/SECRET")
    note = Notification.objects.create(recipient=webhook, alarm=alarm, cause="escalated")
    took = dt.timedelta(seconds=2)
    for is_success, words in ((False, "503 Slow down"), (True, "200 ok")):
        DeliveryAttempt.objects.create(
            notification=note, is_success=is_success, took=took, answer=words
        )
    Notification.objects.filter(id=note.id).update(sent_at=timezone.now())
    alarms.acknowledge(alarm, person, "On my way")
    with django_assert_max_num_queries(12):
        text = page(admin, f"/alarms/{alarm.id}/")
    for words in ("503 Slow down", "200 ok", "Escalated", "On my way", "Raised"):
        assert words in text
    assert "SECRET" not in text
    assert f'href="/alarms/{before.id}/"' in text
    shown = value(admin, f"/alarms/{alarm.id}/")
    assert [event["what"] for event in shown["events"]] == ["raised", "acknowledged"]
    assert shown["notifications"][0]["state"] == "sent"
    part = page(admin, f"/alarms/{alarm.id}/", HX_Request="true", HX_Target="alarm")
    assert "<html" not in part and 'id="alarm-log"' in part


def test_what_a_webhook_answers_is_for_its_owner(client_of: Callable[[str], Client]) -> None:
    """An answer may repeat the address, which is a secret."""
    client_of("scientist")
    alarm, owner = rows.raise_alarm(), User.objects.get()
    webhook = Recipient.objects.create(owner=owner, way="slack", address="https://hook/SECRET")
    note = Notification.objects.create(recipient=webhook, alarm=alarm, cause="raised")
    DeliveryAttempt.objects.create(
        notification=note,
        is_success=False,
        took=dt.timedelta(seconds=2),
        answer="404 Not Found: there is no /SECRET here",
    )
    mine, staff = client_of("scientist"), client_of("admin")
    for address in (f"/alarms/{alarm.id}/", "/dasmon/notifications/"):
        assert "no /SECRET here" in page(mine, address)
    for address in (f"/alarms/{alarm.id}/", "/dasmon/notifications/?of=all"):
        shown = page(staff, address)
        assert "404 Not Found" in shown and "SECRET" not in shown


def test_those_who_tend_write_what_to_do(admin: Client) -> None:
    alarm = rows.raise_alarm()
    typed = {"guidance": f"Call 4-1234\n{HOSTILE}", "is_latched": "on"}
    said(admin, admin.post(f"/alarms/{alarm.id}/describe/", typed))
    setting = AlarmSetting.objects.get()
    assert setting.is_latched and setting.guidance.startswith("Call 4-1234")
    text = page(admin, "/alarms/")
    assert "Call 4-1234<br>" in text and "<img" not in text and "<script>alert" not in text


def test_what_nothing_else_will_end_is_ended_by_those_who_tend(admin: Client) -> None:
    alarm = rows.raise_alarm()
    address = f"/alarms/{alarm.id}/"
    refused = admin.post(f"{address}close/", {"because": " "})
    assert refused.status_code == 409 and "Write a reason" in refused.content.decode()
    assert "The beamline is closed" in said(
        admin, admin.post(f"{address}close/", {"because": "The beamline is closed"})
    )
    assert Alarm.objects.get().closed_at is not None
    component = Component.objects.create(
        instrument=alarm.instrument,
        name="pvsd",
        heard_at=timezone.now(),
        period=dt.timedelta(seconds=5),
    )
    key = AlarmKey(alarm.instrument.id, silence_of("pvsd"))
    silence = Assertion(key, Level.ERROR, Alarm.Origin.SILENCE, "", timezone.now())
    alarms.assert_all([silence], timezone.now())
    silent = Alarm.objects.get(closed_at=None)
    assert "Forget the component" in page(admin, f"/alarms/{silent.id}/")
    said(admin, admin.post(f"/alarms/{silent.id}/close/", {"because": "taken away"}))
    assert not Component.objects.filter(id=component.id).exists()
    assert not Alarm.objects.filter(closed_at=None).exists()


def test_hostile_words_stay_words(admin: Client) -> None:
    alarm = rows.raise_alarm(HOSTILE, message=HOSTILE)
    alarms.acknowledge(alarm, User.objects.get(), HOSTILE)
    alarms.shelve(
        alarm.instrument,
        HOSTILE,
        timezone.now() + dt.timedelta(hours=1),
        User.objects.get(),
        HOSTILE,
    )
    for address in ("/alarms/", f"/alarms/{alarm.id}/", "/alarms/history/"):
        text = page(admin, address)
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert(1)" not in text and "<img src=x" not in text
    assert admin.get("/alarms/?instrument=%00%27&level=%00").status_code == 200
    assert admin.get("/alarms/history/?before=9999999999999999999999").status_code == 404


def test_the_history_goes_on_without_gap_or_repetition(admin: Client) -> None:
    Instrument.objects.create(name="arcs", facility="SNS")
    at = timezone.now() - dt.timedelta(days=1)
    for number in range(120):
        with transaction.atomic():
            then = at + dt.timedelta(seconds=number // 3)
            name = f"S{number}"
            alarms.receive([SignalReport("arcs", name, Level.ERROR, "", "", then)], then)
    seen, address = [], "/alarms/history/?instrument=arcs"
    while True:
        part = value(admin, address)
        seen += names(part["rows"])
        if not part["older"]:
            break
        address = f"/alarms/history/?instrument=arcs&before={part['older']}"
    assert len(seen) == 120 and len(set(seen)) == 120
    assert 'rel="next"' in page(admin, "/alarms/history/")


def test_the_old_address_of_acknowledging_only_asks(admin: Client) -> None:
    alarm = rows.raise_alarm()
    Instrument.objects.create(name="cncs", facility="SNS")
    address = f"/dasmon/arcs/signals/ack/{alarm.id}/"
    assert "Acknowledge SID_SVP_HIGH?" in page(admin, address)
    assert Alarm.objects.get().acknowledged_at is None
    assert admin.get(f"/dasmon/cncs/signals/ack/{alarm.id}/").status_code == 404
    assert admin.post(address, {"comment": "there"})["Location"] == f"/alarms/{alarm.id}/"
    assert Alarm.objects.get().comment == "there"
    assert "nothing to acknowledge" in page(admin, address)


def test_only_those_responsible_answer(client_of: Callable[[str], Client]) -> None:
    arcs, cncs = rows.raise_alarm(), rows.raise_alarm(instrument="cncs")
    user = client_of("user")
    assert "Acknowledge" not in page(user, "/alarms/")
    assert user.post("/alarms/acknowledge/", {"only": arcs.id}).status_code == 403
    put_into_the_team_of_arcs("user")
    assert user.post("/alarms/acknowledge/", {"alarm": [arcs.id, cncs.id]}).status_code == 403
    assert user.post("/alarms/shelve/", {"only": cncs.id, "comment": "x"}).status_code == 403
    unshelved = user.post("/alarms/unshelve/", {"instrument": "cncs", "name": cncs.name})
    assert unshelved.status_code == 403
    assert user.post(f"/alarms/{cncs.id}/describe/", {}).status_code == 403
    assert Alarm.objects.filter(acknowledged_at=None).count() == 2
    assert user.post("/alarms/acknowledge/", {"only": arcs.id}).status_code == 302
    assert client_of("scientist").post("/alarms/acknowledge/", {"only": cncs.id}).status_code == 302


def test_the_number_in_the_top_bar(user: Client) -> None:
    assert 'id="alarm-count" class="badge" hidden' in page(user, "/report/")
    rows.raise_alarm()
    rows.raise_alarm("note", level=Level.INFO)
    assert re.search(r'data-level="error"><span>1<', page(user, "/report/"))
    assert re.search(r'data-level="error"><span>1<', page(user, "/alarms/count/"))


RULE = {
    "instrument": "arcs",
    "kind": "pv",
    "name": "BL18:SE:T",
    "condition": "above",
    "high": "300",
    "hysteresis": "5",
    "duration": "2",
    "unit": "min",
    "level": "error",
    "message": "Too warm",
    "guidance": "Look at the cryostat",
}


def add_samples(values: Sequence[tuple[float, float]], name: str = "BL18:SE:T") -> None:
    """Of a PV of ARCS: hours before now, and what it was from then on."""
    arcs, _ = Instrument.objects.get_or_create(name="arcs", defaults={"facility": "SNS"})
    series = Series.objects.create(instrument=arcs, kind=Kind.PV.value, name=name)
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dasmon_sample (series_id, at, received_at, value) VALUES (%s, %s, %s, %s)",
            [
                (series.id, at, at, value)
                for hours, value in values
                for at in [now - dt.timedelta(hours=hours)]
            ],
        )


def test_a_rule_shows_beforehand_when_it_would_have_fired(admin: Client) -> None:
    add_samples([(200, 310.0), (150, 290.0), (100, 320.0), (99, 298.0), (98, 250.0), (1, 350.0)])
    preview = value(admin, f"/alarms/rules/preview/?{urlencode(RULE)}")["preview"]
    assert (preview["problem"], preview["samples"]) == ("", 5)
    assert [each["extreme"] for each in preview["newest"]] == [350.0, 320.0, 310.0]
    assert preview["newest"][0]["ended_at"] is None
    # It came back by 5 only an hour after it was below the limit.
    assert preview["newest"][1]["lasted"] == pytest.approx(2 * 3600 - 120, abs=5)
    text = page(admin, f"/alarms/rules/preview/?{urlencode(RULE)}")
    assert "It would have fired 3 times in the last week" in text
    assert text.count("<rect ") == 3
    assert not AlarmRule.objects.exists()
    assert "It would not have fired" in page(
        admin, f"/alarms/rules/preview/?{urlencode(RULE | {'high': '400'})}"
    )
    assert "There is no value of this name" in page(
        admin, f"/alarms/rules/preview/?{urlencode(RULE | {'name': 'nothing'})}"
    )


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"name": " "}, "Which value?"),
        ({"high": ""}, "The upper limit is missing"),
        ({"high": "warm <b>"}, "is no number"),
        ({"high": "nan"}, "is no number"),
        ({"condition": "outside", "low": "400"}, "lower limit"),
        ({"condition": "stale", "duration": "0"}, "needs a duration"),
        ({"condition": "sideways"}, "When is it an alarm?"),
        ({"duration": "1e300", "unit": "d"}, "The time is between"),
        ({"hysteresis": "-1"}, "hysteresis"),
        ({"level": "loud"}, "How bad is it?"),
        ({"kind": "rumour"}, "Is it a PV or a status value?"),
        ({"instrument": "nowhere"}, "Choose an instrument"),
    ],
)
def test_what_is_wrong_with_a_rule_is_one_sentence(
    typed: dict[str, str], sentence: str, admin: Client
) -> None:
    Instrument.objects.create(name="arcs", facility="SNS")
    problem = value(admin, f"/alarms/rules/preview/?{urlencode(RULE | typed)}")["preview"][
        "problem"
    ]
    assert sentence in problem
    answer = admin.post("/alarms/rules/new/", RULE | typed)
    assert answer.status_code == 409 and 'role="alert"' in answer.content.decode()
    assert "Look at the cryostat" in answer.content.decode()
    assert not AlarmRule.objects.exists()


def test_a_rule_is_made_changed_switched_and_deleted(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Instrument.objects.create(name="arcs", facility="SNS")
    assert admin.post("/alarms/rules/new/", RULE)["Location"] == "/alarms/rules/"
    rule = AlarmRule.objects.get()
    assert (rule.high, rule.low, rule.hysteresis) == (300.0, None, 5.0)
    assert (rule.duration, rule.level) == (dt.timedelta(minutes=2), Level.ERROR)
    assert str(rule.created_by) == "admin"
    assert AlarmSetting.objects.get().name == rule.alarm_name
    address = f"/alarms/rules/{rule.id}/"
    with django_assert_max_num_queries(12):
        text = page(admin, address)
    assert 'value="300"' in text and "Look at the cryostat" in text
    with django_assert_max_num_queries(8):
        assert "is above 300 for 2 min" in page(admin, "/alarms/rules/")
    changed = RULE | {"condition": "outside", "low": "1e-3", "high": "12.5", "guidance": ""}
    admin.post(address, changed)
    rule.refresh_from_db()
    assert (rule.condition, rule.low, rule.high) == ("outside", 0.001, 12.5)
    assert 'value="0.001"' in page(admin, address)
    admin.post(f"{address}disable/")
    rule.refresh_from_db()
    assert not rule.is_enabled and "(off)" in page(admin, "/alarms/rules/")
    admin.post(f"{address}enable/")
    rule.refresh_from_db()
    assert rule.is_enabled
    assert "Delete the rule for BL18:SE:T?" in page(admin, f"{address}delete/")
    admin.post(f"{address}delete/")
    assert not AlarmRule.objects.exists()


def test_a_team_makes_rules_of_its_own_instrument(client_of: Callable[[str], Client]) -> None:
    for name in ("arcs", "cncs"):
        Instrument.objects.create(name=name, facility="SNS")
    cncs = rows.add_rule(Instrument.objects.get(name="cncs"))
    user = client_of("user")
    assert user.get("/alarms/rules/new/").status_code == 403
    assert user.post("/alarms/rules/new/", RULE).status_code == 403
    put_into_the_team_of_arcs("user")
    assert value(user, "/alarms/rules/new/")["instruments"] == ["arcs"]
    assert user.post("/alarms/rules/new/", RULE).status_code == 302
    assert user.post("/alarms/rules/new/", RULE | {"instrument": "cncs"}).status_code == 403
    # Nor may a rule of others become one of ours, or ours one of others.
    assert user.post(f"/alarms/rules/{cncs.id}/", RULE).status_code == 403
    own = AlarmRule.objects.get(instrument__name="arcs")
    moved = user.post(f"/alarms/rules/{own.id}/", RULE | {"instrument": "cncs"})
    assert moved.status_code == 403
    assert user.post(f"/alarms/rules/{cncs.id}/delete/").status_code == 403
    assert "Switch off" in page(user, "/alarms/rules/")


def test_names_are_offered_while_one_types(user: Client) -> None:
    add_samples([(1, 1.0)], HOSTILE)
    add_samples([(1, 1.0)], "BL18:SE:T")
    text = page(user, "/alarms/rules/names/?instrument=arcs&name=se:")
    assert '<option value="BL18:SE:T" data-kind="pv">' in text and "img src" not in text
    text = page(
        user, f"/alarms/rules/names/?{urlencode({'instrument': 'arcs', 'name': '<script'})}"
    )
    assert "&lt;script&gt;" in text and "<script>" not in text


def test_hostile_words_in_rules_stay_words(admin: Client) -> None:
    Instrument.objects.create(name="arcs", facility="SNS")
    rule = RULE | {"name": HOSTILE, "message": HOSTILE, "guidance": HOSTILE}
    admin.post("/alarms/rules/new/", rule)
    made = AlarmRule.objects.get()
    for address in ("", "new/?" + urlencode(rule), f"{made.id}/", f"{made.id}/delete/"):
        text = page(admin, f"/alarms/rules/{address}")
        assert "<script>alert(1)" not in text and "<img src=x" not in text
        assert "&lt;script&gt;alert(1)" in text
    broken = RULE | {"name": "a\0b", "message": "c\0d"}
    assert admin.post("/alarms/rules/new/", broken).status_code == 302


def test_a_storm_is_shown_in_part_and_counted_whole(admin: Client) -> None:
    arcs = Instrument.objects.create(name="arcs", facility="SNS")
    at, level = timezone.now(), Level.ERROR
    storm = [SignalReport("arcs", f"S{n}", level, "", "", at) for n in range(pages.SHOWN + 5)]
    with transaction.atomic():
        alarms.receive([*storm, SignalReport("arcs", "worst", Level.FATAL, "", "", at)], at)
    shown = value(admin, "/alarms/")
    assert (len(shown["needing"]), shown["count_needing"]) == (pages.SHOWN, pages.SHOWN + 6)
    assert shown["needing"][0]["name"] == "worst"
    text = page(admin, "/alarms/")
    assert f"<title>({pages.SHOWN + 6}) Alarms" in text and "Choose an instrument" in text
    assert shown["roll_up"][0]["needing"] == Alarm.objects.filter(instrument=arcs).count()


def test_the_facility_s_page_counts_the_same(user: Client) -> None:
    rows.raise_alarm("A", level=Level.WARNING)
    rows.raise_alarm("B", instrument="cncs")
    rows.raise_alarm("note", level=Level.INFO)
    shelved = rows.raise_alarm("C", level=Level.FATAL)
    until = timezone.now() + dt.timedelta(hours=1)
    alarms.shelve(shelved.instrument, "C", until, User.objects.get(), "known")
    counted = re.compile(r'<span id="alarm-count".*?</span></span>')
    assert counted.findall(page(user, "/dasmon/")) == counted.findall(page(user, "/report/"))
    assert 'data-level="error"><span>2<' in page(user, "/dasmon/")


def test_a_value_that_trembles_makes_no_huge_preview() -> None:
    now = timezone.now()
    week, second = dt.timedelta(days=7), dt.timedelta(seconds=1)
    begins = [now - week + 10 * number * second for number in range(30_000)]
    occurrences = [Occurrence(at, at + second, 1.0) for at in begins]
    line = occurrence_line(occurrences, now - week, now)
    assert 'aria-label="30000 times' in line and len(line) < 2_000
    apart = [occurrences[0], occurrences[20_000]]
    assert occurrence_line(apart, now - week, now).count("<rect") == 2


def test_a_name_that_no_value_can_have_is_refused(admin: Client) -> None:
    """Its alarm could not be written down, and with it none of any rule."""
    Instrument.objects.create(name="arcs")
    name = "".join(chr(33 + number * 7919 % 9000) for number in range(3000))
    answer = admin.post("/alarms/rules/new/", RULE | {"name": name, "guidance": "Look"})
    assert answer.status_code == 409
    assert "more than 500 characters" in answer.content.decode()
    assert not AlarmRule.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_answering_for_several_instruments_and_their_signals_do_not_wait_in_a_circle(
    admin: Client,
) -> None:
    first, second = (Instrument.objects.create(name=name) for name in ("arcs", "cncs"))
    ticked = [reported.raise_alarm(of, "chopper").id for of in (second, first)]
    answered: list[int] = []

    def answer() -> None:
        answered.append(admin.post("/alarms/acknowledge/", {"alarm": ticked}).status_code)
        connection.close()

    person = threading.Thread(target=answer)
    now = timezone.now()
    with transaction.atomic():
        alarms.receive([SignalReport("arcs", "a", Level.ERROR, "DAS", "", now)], now)
        person.start()
        while not waits_for_a_lock():
            assert person.is_alive()
        alarms.receive([SignalReport("cncs", "b", Level.ERROR, "DAS", "", now)], now)
    person.join()
    assert answered == [302]
    assert not Alarm.objects.filter(id__in=ticked, acknowledged_at=None).exists()


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])
