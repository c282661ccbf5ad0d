"""The page on which people say whom to tell, and see what was told."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dasmon_listener.domain.levels import Level
from dasmon_listener.models import Alarm, DeliveryAttempt, Notification, Recipient
from dasmon_listener.recipients import MOST_PER_PERSON
from workflow_manager.models import Instrument

PAGE = "/dasmon/notifications/"
NEW = f"{PAGE}new/"
HOSTILE = "<script>alert(1)</script>"


def form(**changes: Any) -> dict[str, Any]:
    values = {
        "way": "email",
        "address": "user@example.org",
        "minimum_level": Level.ERROR.value,
        "wants_over": "on",
        "is_enabled": "on",
    }
    return values | changes


def recipient(owner: str = "user", **changes: Any) -> Recipient:
    values = {"way": "email", "address": f"{owner}@example.org"} | changes
    return Recipient.objects.create(owner=User.objects.get(username=owner), **values)


def told(to: Recipient, *, alarm: str = "chopper 1", **changes: Any) -> Notification:
    now = timezone.now()
    raised = Alarm.objects.create(
        instrument=Instrument.objects.get_or_create(name="arcs")[0],
        name=alarm,
        origin=Alarm.Origin.SIGNAL,
        level=Level.ERROR,
        raised_at=now,
        repeated_at=now,
        closed_at=now,
    )
    values = {"cause": Notification.Cause.RAISED, "created_at": now, "due_at": now} | changes
    return Notification.objects.create(recipient=to, alarm=raised, **values)


def value(client: Client, address: str = PAGE) -> Any:
    return client.get(address, headers={"Accept": "application/json"}).json()


def text(client: Client, address: str = PAGE) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def test_a_recipient_is_added_changed_and_removed(user: Client) -> None:
    Instrument.objects.create(name="arcs")
    chosen = Instrument.objects.create(name="cncs")
    assert "Nothing is sent to you yet" in text(user)
    wish = form(
        way="slack",
        address="https://hooks.slack.com/services/T0/B0/x",
        instruments=[chosen.pk],
        minimum_level=Level.WARNING.value,
        escalate_after="10",
        quiet_from="22:00",
        quiet_until="07:00",
        days=["5", "6"],
    )
    assert user.post(NEW, wish)["Location"] == PAGE
    shown = text(user)
    assert "Your changes have been saved." in shown
    assert "Your changes have been saved." not in text(user)
    [card] = value(user)["cards"]
    assert (
        card
        | {
            "way": "Slack",
            "instruments": ["CNCS"],
            "level": "warning and worse",
            "quiet": "22:00 to 07:00, on Saturday, Sunday",
            "escalation": "10 min",
            "is_enabled": True,
        }
        == card
    )
    made = Recipient.objects.get()
    assert (made.escalate_after, made.days) == (dt.timedelta(minutes=10), [5, 6])
    address = f"{PAGE}{made.pk}/"
    edited = text(user, address)
    assert 'value="22:00"' in edited and 'value="10"' in edited
    user.post(address, form(address="other@example.org"))
    [card] = value(user)["cards"]
    assert (card["address"], card["quiet"], card["instruments"]) == ("other@example.org", "", [])
    user.post(f"{address}off/")
    assert "switched off: nothing is sent" in text(user)
    user.post(f"{address}on/")
    assert "Remove this recipient?" in text(user, f"{address}remove/")
    assert Recipient.objects.get().is_enabled
    user.post(f"{address}remove/")
    assert not Recipient.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": ""}, "This field is required."),
        ({"address": "nobody"}, "This is no e-mail address"),
        ({"address": "a@example.org,b@example.org"}, "This is no e-mail address"),
        ({"address": "a@example.org\r\nBcc: b@example.org"}, "This is no e-mail address"),
        ({"way": "webhook", "address": "file:///etc/passwd"}, "begin with https"),
        ({"way": "webhook", "address": "http://127.0.0.1:5432/"}, "private, local or reserved"),
        ({"way": "teams", "address": "http://[::ffff:10.0.0.1]/"}, "private, local or reserved"),
        ({"way": "webhook", "address": "http://169.254.169.254/x"}, "private, local or reserved"),
        ({"way": "pigeon"}, "Select a valid choice"),
        ({"minimum_level": "9"}, "Select a valid choice"),
        ({"instruments": ["77"]}, "not one of the available choices"),
        ({"quiet_from": "22:00"}, "Quiet hours need a beginning and an end."),
        ({"quiet_from": "07:00", "quiet_until": "07:00"}, "nothing would ever be sent"),
        ({"escalate_after": "0"}, "greater than or equal to 1"),
        ({"escalate_after": "99999999999999"}, "less than or equal to"),
    ],
)
def test_what_cannot_be_is_told_in_words(changes: dict[str, Any], said: str, user: Client) -> None:
    answer = user.post(NEW, form(**changes))
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert "Your form is invalid. Please modify your entries and re-submit." in shown
    assert said in shown
    assert not Recipient.objects.exists()


def test_a_person_has_only_so_many(user: Client) -> None:
    for number in range(MOST_PER_PERSON):
        recipient(address=f"{number}@example.org")
    assert "Add a recipient" not in text(user)
    answer = user.post(NEW, form())
    assert answer.status_code == 422 and "that is the most" in answer.content.decode()
    assert Recipient.objects.count() == MOST_PER_PERSON
    first = Recipient.objects.earliest("id")
    assert user.post(f"{PAGE}{first.pk}/", form()).status_code == 302


@pytest.mark.parametrize("action", ["", "test/", "on/", "off/", "remove/"])
def test_those_of_others_are_not_there(
    action: str, user: Client, client_of: Callable[[str], Client]
) -> None:
    client_of("scientist")
    theirs = recipient("scientist")
    told(theirs, alarm="a secret of others")
    assert client_of("admin").post(f"{PAGE}{theirs.pk}/{action}", form()).status_code == 404
    assert user.post(f"{PAGE}{theirs.pk}/{action}", form()).status_code == 404
    assert Recipient.objects.get().is_enabled
    assert not Notification.objects.filter(cause="test").exists()
    assert "a secret of others" not in text(user)


def test_staff_see_what_everybody_was_told_but_no_webhooks_path(
    user: Client, client_of: Callable[[str], Client]
) -> None:
    address = "https://hooks.example.org/services/password"
    told(recipient(way="webhook", address=address))
    assert user.get(f"{PAGE}?of=all").status_code == 403
    assert address in text(user)
    shown = text(client_of("admin"), f"{PAGE}?of=all")
    assert "hooks.example.org" in shown and "of user" in shown
    assert "password" not in shown
    assert "Nothing was sent yet" in text(client_of("admin"))


def test_a_test_is_asked_for_once(user: Client) -> None:
    to = recipient()
    assert user.post(f"{PAGE}{to.pk}/test/")["Location"] == PAGE
    assert Notification.objects.get().cause == "test"
    assert "A test is on its way." in text(user)
    again = user.post(f"{PAGE}{to.pk}/test/")
    assert again.status_code == 409 and "a moment ago" in again.content.decode()
    assert Notification.objects.count() == 1


def test_the_log_says_what_came_of_each(user: Client) -> None:
    to, now = recipient(), timezone.now()
    later = now + dt.timedelta(minutes=5)
    told(to, alarm="sent", sent_at=now)
    told(to, alarm="dropped", given_up_at=now, dropped_because="The alarm is shelved.")
    waiting = told(to, alarm="waiting", due_at=later)
    told(to, alarm="at night", due_at=later)
    failed = told(to, alarm=HOSTILE, given_up_at=now)
    for each in (waiting, failed):
        DeliveryAttempt.objects.create(
            notification=each,
            is_success=False,
            took=dt.timedelta(seconds=2),
            answer=f"500: {HOSTILE}\nsecond line",
        )
    rows = {row["alarm"]: row for row in value(user)["log"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "sent": "sent",
        "dropped": "skipped",
        "waiting": "waiting",
        "at night": "waiting",
        HOSTILE: "failed",
    }
    assert rows["dropped"]["why"] == "The alarm is shelved."
    assert rows["at night"]["why"].startswith("Postponed")
    assert rows[HOSTILE]["why"] == f"500: {HOSTILE}"
    shown = text(user)
    assert HOSTILE not in shown and "second line" in shown and "Next try" in shown


def test_the_log_is_read_in_parts(
    user: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    to = recipient()
    made = [told(to, alarm=f"alarm {number}") for number in range(120)]
    Notification.objects.update(created_at=timezone.now())
    address, seen = PAGE, []
    for _ in range(5):
        with django_assert_max_num_queries(10):
            page = value(user, address)
        seen += [row["id"] for row in page["log"]]
        address = f"{PAGE}?before={page['older'].replace('+', '%2B')}"
    assert seen == [row.pk for row in reversed(made)]
    assert page["older"] == ""
    assert user.get(f"{PAGE}?before=nonsense").status_code == 404
    part = user.get(PAGE, headers={"HX-Request": "true", "HX-Target": "told"})
    assert part.content.decode().strip().startswith('<tbody id="told">')
