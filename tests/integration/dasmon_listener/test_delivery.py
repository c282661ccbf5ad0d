"""The outbox is sent, to real servers, and what came of it is written down."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from dasmon_listener import alarms, delivery, notifications
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.signals import SignalReport
from dasmon_listener.models import (
    Alarm,
    AlarmEvent,
    AlarmSetting,
    DeliveryAttempt,
    Notification,
    Recipient,
)
from tests.integration.dasmon_listener import telling
from tests.integration.dasmon_listener.others import Hook, MailServer, hook, mail_server, say
from tests.integration.dasmon_listener.telling import MINUTE, MORNING, NIGHT, NOW

pytestmark = pytest.mark.django_db(transaction=True)
RAISED, OVER = Notification.Cause.RAISED, Notification.Cause.OVER
SECOND = timedelta(seconds=1)


@pytest.fixture
def webhook(settings: Settings) -> Iterator[Hook]:
    settings.WEBHOOK_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    with hook() as found:
        yield found


@pytest.fixture
def mail(settings: Settings) -> Iterator[MailServer]:
    with mail_server() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.DEFAULT_FROM_EMAIL = "webmon@facility.example"
        yield found


def listener(at: Hook, path: str = "/", **changes: Any) -> Recipient:
    values: dict[str, Any] = {"way": Recipient.Way.WEBHOOK, "address": at.url(path)} | changes
    return telling.recipient(**values)


def raised(name: str = "chopper 1", at: datetime = NOW) -> Alarm:
    alarm = telling.alarm(name, at=at)
    notifications.enqueue([alarm], RAISED, at)
    return alarm


def over(alarm: Alarm, at: datetime = NOW) -> None:
    Alarm.objects.filter(pk=alarm.pk).update(over_at=at)
    notifications.enqueue([alarm], OVER, at)


def causes(at: Hook) -> list[str]:
    return [json.loads(body)["cause"] for body in at.bodies]


def answers() -> list[str]:
    return list(DeliveryAttempt.objects.order_by("id").values_list("answer", flat=True))


def test_an_email_is_delivered(mail: MailServer) -> None:
    telling.recipient(address="ada@facility.example")
    alarm = raised()
    AlarmSetting.objects.create(instrument=alarm.instrument, name=alarm.name, guidance="Call 555.")
    assert delivery.deliver_due(NOW) == 1
    [sent] = mail.mails
    assert (sent["Subject"], sent["To"]) == ("New alert on ARCS", "ada@facility.example")
    assert sent["From"] == "webmon@facility.example"
    assert sent["Auto-Submitted"] == "auto-generated"
    text = str(sent.get_payload(decode=False))
    assert "ARCS: chopper 1 (error)" in text and "What to do:\nCall 555." in text.replace("\r", "")
    notification = Notification.objects.get()
    assert f"<webmon-notification-{notification.pk}@facility.example>" == sent["Message-ID"]
    assert notification.sent_at is not None and notification.given_up_at is None
    attempt = DeliveryAttempt.objects.get()
    assert attempt.is_success and attempt.took > timedelta(0)
    assert attempt.answer == "The mail server 127.0.0.1 took it."
    assert delivery.deliver_due(NOW + 60 * MINUTE) == 0
    assert len(mail.mails) == 1


def test_what_a_mail_server_refuses(mail: MailServer) -> None:
    mail.refusals = [b"451 greylisted, come back", b"550 no such person"]
    telling.recipient()
    raised()
    assert delivery.deliver_due(NOW) == 0
    assert delivery.deliver_due(NOW + 11 * SECOND) == 0
    assert answers() == [
        "The mail server 127.0.0.1 refused the address: 451 greylisted, come back",
        "The mail server 127.0.0.1 refused the address: 550 no such person",
    ]
    assert Notification.objects.get().given_up_at is not None


def test_headers_cannot_be_added(mail: MailServer) -> None:
    telling.recipient(address="ada@example.org\r\nBcc: all@example.org")
    raised()
    assert delivery.deliver_due(NOW) == 0
    assert answers() == ["This is no e-mail address."]
    assert mail.envelopes == []


def test_without_a_mail_server_email_is_given_up(settings: Settings) -> None:
    settings.EMAIL_HOST = ""
    telling.recipient()
    raised()
    assert delivery.deliver_due(NOW) == 0
    assert answers() == ["E-mail cannot be sent: no mail server is configured (EMAIL_HOST)."]
    assert Notification.objects.get().given_up_at is not None


@pytest.mark.parametrize(
    ("way", "key"), [("webhook", "cause"), ("slack", "blocks"), ("teams", "attachments")]
)
def test_each_kind_of_webhook_has_its_form(way: str, key: str, webhook: Hook) -> None:
    listener(webhook, way=way)
    raised()
    assert delivery.deliver_due(NOW) == 1
    assert key in json.loads(webhook.bodies[0])
    assert answers() == ["200 OK: ok"]


def test_private_addresses_are_given_up_at_once(webhook: Hook, settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ()
    listener(webhook)
    raised()
    assert delivery.deliver_due(NOW) == 0
    assert "private, local or reserved" in answers()[0]
    assert Notification.objects.get().given_up_at is not None
    assert webhook.bodies == []


def test_tries_are_repeated_after_growing_pauses_and_given_up(webhook: Hook) -> None:
    webhook.answers["/"] = say(503, b"come back later")
    listener(webhook)
    raised()
    at = NOW
    for pause in (10, 60, 300, 1800, 7200):
        assert delivery.deliver_due(at) == 0
        assert delivery.deliver_due(at + (pause - 1) * SECOND) == 0
        at += (pause + 5) * SECOND
    assert Notification.objects.get().given_up_at is None
    delivery.deliver_due(at)
    assert answers() == ["503 Service Unavailable: come back later"] * 6
    assert Notification.objects.get().given_up_at is not None
    assert delivery.deliver_due(at + timedelta(days=1)) == 0
    assert len(webhook.bodies) == 6


def test_a_later_try_that_arrives_ends_it(webhook: Hook) -> None:
    webhook.answers["/"] = say(500)
    listener(webhook)
    raised()
    delivery.deliver_due(NOW)
    webhook.answers.clear()
    assert delivery.deliver_due(NOW + 11 * SECOND) == 1
    assert answers() == ["500 Internal Server Error", "200 OK: ok"]
    numbers = {json.loads(body)["id"] for body in webhook.bodies}
    assert len(numbers) == 1


def test_raised_and_over_come_in_order_and_together(webhook: Hook) -> None:
    listener(webhook)
    alarm = raised()
    over(alarm)
    assert delivery.deliver_due(NOW) == 2
    assert causes(webhook) == ["raised", "over"]


def test_over_waits_for_what_it_follows(webhook: Hook) -> None:
    webhook.answers["/"] = say(500)
    listener(webhook)
    alarm = raised()
    delivery.deliver_due(NOW)
    over(alarm)
    delivery.deliver_due(NOW + SECOND)
    assert causes(webhook) == ["raised"]
    webhook.answers.clear()
    delivery.deliver_due(NOW + 20 * SECOND)
    assert causes(webhook) == ["raised"]
    assert list(Notification.objects.order_by("id").values_list("dropped_because", flat=True)) == [
        "The alarm was over before this could be told.",
        "It had not been told that the alarm was raised.",
    ]


def test_what_quiet_hours_postponed_is_not_told_when_it_is_no_news(webhook: Hook) -> None:
    listener(webhook, quiet_from=time(22), quiet_until=time(7))
    ended, acknowledged, lasting = (raised(name, NIGHT) for name in ("x", "y", "z"))
    over(ended, NIGHT + MINUTE)
    Alarm.objects.filter(pk=acknowledged.pk).update(
        acknowledged_at=NIGHT, acknowledged_by=telling.person("bob")
    )
    assert delivery.deliver_due(MORNING - SECOND) == 0
    assert delivery.deliver_due(MORNING) == 1
    assert [json.loads(body)["alarm"] for body in webhook.bodies] == [lasting.name]
    dropped = Notification.objects.exclude(dropped_because="").order_by("id")
    assert list(dropped.values_list("dropped_because", flat=True)) == [
        "The alarm was over before this could be told.",
        "bob acknowledged the alarm before this could be told.",
        "It had not been told that the alarm was raised.",
    ]
    assert not DeliveryAttempt.objects.filter(notification__in=dropped).exists()


def test_what_is_fatal_is_told_at_night(webhook: Hook) -> None:
    listener(webhook, quiet_from=time(22), quiet_until=time(7))
    alarm = telling.alarm(level=Level.FATAL, at=NIGHT)
    notifications.enqueue([alarm], RAISED, NIGHT)
    assert delivery.deliver_due(NIGHT) == 1


def test_what_was_postponed_and_then_shelved_or_switched_off_is_dropped(webhook: Hook) -> None:
    quiet: dict[str, Any] = {"quiet_from": time(22), "quiet_until": time(7)}
    listener(webhook, **quiet)
    listener(webhook, owner="bob", **quiet)
    listener(webhook, owner="eve", **quiet)
    alarm = raised(at=NIGHT)
    Recipient.objects.filter(owner__username="bob").update(is_enabled=False)
    telling.person("eve").__class__.objects.filter(username="eve").update(is_active=False)
    telling.shelve(alarm, MORNING + MINUTE)
    assert delivery.deliver_due(MORNING) == 0
    assert set(Notification.objects.values_list("dropped_because", flat=True)) == {
        "The alarm is shelved.",
        "The recipient is switched off.",
        "The account is closed.",
    }


def test_escalation_ends_with_the_acknowledgement(webhook: Hook) -> None:
    listener(webhook, escalate_after=MINUTE)
    alarm = raised()
    assert delivery.deliver_due(NOW) == 0
    notifications.escalate(NOW + MINUTE)
    assert delivery.deliver_due(NOW + MINUTE) == 1
    assert causes(webhook) == ["escalated"]
    over(alarm, NOW + 2 * MINUTE)
    delivery.deliver_due(NOW + 2 * MINUTE)
    assert causes(webhook) == ["escalated", "over"]
    other = raised("other")
    notifications.escalate(NOW + 3 * MINUTE)
    Alarm.objects.filter(pk=other.pk).update(acknowledged_at=NOW)
    assert delivery.deliver_due(NOW + 3 * MINUTE) == 0


def test_a_signal_is_told_escalated_and_over(webhook: Hook) -> None:
    """From what DASMON says to what the other side hears, and what the log keeps."""
    listener(webhook)
    listener(webhook, "/chief", owner="chief", escalate_after=MINUTE)
    telling.instrument("arcs")

    def says(level: Level | None, at: datetime) -> None:
        report = SignalReport("arcs", "SID_ADS", level, "SNS.DASMON", "ADS is off", sent_at=at)
        alarms.receive([report], at)
        delivery.deliver_due(at)

    says(Level.ERROR, NOW)
    says(Level.ERROR, NOW + SECOND)
    assert causes(webhook) == ["raised"]
    notifications.escalate(NOW + MINUTE)
    delivery.deliver_due(NOW + MINUTE)
    assert causes(webhook) == ["raised", "escalated"]
    says(None, NOW + 2 * MINUTE)
    assert causes(webhook) == ["raised", "escalated", "over", "over"]
    assert not Notification.objects.filter(sent_at=None).exists()
    events = list(AlarmEvent.objects.order_by("at", "id").values_list("what", flat=True))
    assert events[:2] == ["raised", "escalated"] and "over" in events[2:]
    says(Level.ERROR, NOW + 3 * MINUTE)
    assert causes(webhook)[4:] == ["raised"]


def test_a_latched_alarm_that_comes_again_is_told_again(webhook: Hook) -> None:
    listener(webhook)
    arcs, by = telling.instrument("arcs"), telling.person()
    alarms.describe(arcs, "SID_ADS", guidance="Call 555.", is_latched=True, by=by)
    for minute, level in enumerate((Level.ERROR, None, Level.ERROR, None)):
        at = NOW + minute * MINUTE
        alarms.receive([SignalReport("arcs", "SID_ADS", level, "", "", sent_at=at)], at)
        delivery.deliver_due(at)
    assert Alarm.objects.count() == 1
    assert causes(webhook) == ["raised", "over", "raised", "over"]
    assert json.loads(webhook.bodies[0])["guidance"] == "Call 555."


def test_a_test_is_tried_once(webhook: Hook) -> None:
    webhook.answers["/"] = say(500)
    to = listener(webhook, is_enabled=False)
    for _ in range(2):
        Notification.objects.create(recipient=to, cause=Notification.Cause.TEST)
    assert delivery.deliver_due() == 0
    assert causes(webhook) == ["test", "test"]
    assert not Notification.objects.filter(given_up_at=None).exists()


def test_two_workers_never_send_the_same(webhook: Hook) -> None:
    for owner in "abcd":
        listener(webhook, f"/{owner}", owner=owner)
    for number in range(20):
        raised(f"alarm {number}")
    start, counts = threading.Barrier(2), []

    def work() -> None:
        start.wait()
        counts.append(delivery.deliver_due(NOW))
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    numbers = [json.loads(body)["id"] for body in webhook.bodies]
    assert sum(counts) == len(numbers) == len(set(numbers)) == 80
    assert DeliveryAttempt.objects.count() == 80


def test_one_that_is_slow_holds_up_nobody_else(webhook: Hook) -> None:
    """The others are served while it is silent, and it gets a few connections only."""
    webhook.hold("/slow")
    with hook() as other:
        arrived = threading.Event()

        def notice(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            say(200, b"ok")(handler, body)
            if len(other.bodies) == 10:
                arrived.set()

        other.answers["/"] = notice
        for number in range(10):
            listener(webhook, "/slow", owner=f"slow {number}")
        listener(other, owner="ada")
        for number in range(10):
            raised(f"alarm {number}")
        counts: list[int] = []

        def work() -> None:
            counts.append(delivery.deliver_due(NOW))
            connection.close()

        worker = threading.Thread(target=work)
        worker.start()
        assert arrived.wait(10)
        assert len(webhook.bodies) <= delivery.PER_HOST
        webhook.answers["/slow"] = say(200, b"at last")
        webhook.let_go.set()
        worker.join()
    assert counts[0] >= 100


def test_a_worker_that_dies_leaves_a_claim_that_runs_out(webhook: Hook) -> None:
    listener(webhook)
    raised()
    [claimed] = delivery._claim(NOW, 5)
    assert delivery._claim(NOW + delivery.CLAIM - SECOND, 5) == []
    assert delivery.deliver_due(NOW + delivery.CLAIM) == 1
    assert [json.loads(body)["id"] for body in webhook.bodies] == [claimed.pk]
    assert answers() == [
        "The worker stopped during this try, so nobody knows whether it arrived.",
        "200 OK: ok",
    ]


def test_a_recipient_that_is_removed_meanwhile(webhook: Hook) -> None:
    to = listener(webhook)

    def remove(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        Recipient.objects.filter(pk=to.pk).delete()
        connection.close()
        say(200, b"ok")(handler, body)

    webhook.answers["/"] = remove
    raised()
    delivery.deliver_due(NOW)
    assert len(webhook.bodies) == 1
    assert not Notification.objects.exists()


def test_a_storm_is_told_in_one_letter(webhook: Hook) -> None:
    """Of 200 alarms a person gets 20 letters, and one that says how many more there are."""
    listener(webhook)
    telling.recipient(owner="off", is_enabled=False)
    alarms_of_storm = [telling.alarm(f"chopper {number}") for number in range(200)]
    telling.recipient(
        owner="far", way="webhook", address=webhook.url("/far"), escalate_after=SECOND
    )
    notifications.enqueue(alarms_of_storm, RAISED, NOW)
    assert delivery.deliver_due(NOW) == 21
    assert sorted(set(causes(webhook))) == ["many", "raised"]
    [letter] = [said for said in map(json.loads, webhook.bodies) if said["cause"] == "many"]
    assert letter["subject"] == "Many more alerts on ARCS"
    assert "180 more alarms" in letter["text"]
    assert "ARCS: 180, of which 180 are waiting" in letter["text"]
    waiting = Notification.objects.filter(sent_at=None, given_up_at=None)
    assert not waiting.exists()
    gathered = Notification.objects.filter(told_in__cause="many")
    assert (gathered.count(), gathered.filter(dropped_because="").count()) == (180, 0)


def test_a_storm_that_goes_on_is_told_again_when_the_time_is_over(webhook: Hook) -> None:
    """What is fatal has letters of its own; what is over by then is not told at all."""
    listener(webhook)
    notifications.enqueue([telling.alarm(f"a {number}") for number in range(30)], RAISED, NOW)
    assert delivery.deliver_due(NOW) == 21
    later = NOW + 30 * SECOND
    fatal = telling.alarm("vacuum", level=Level.FATAL, at=later)
    second = [telling.alarm(f"b {number}", at=later) for number in range(50)]
    notifications.enqueue([*second, fatal], RAISED, later)
    assert delivery.deliver_due(later) == 1
    assert json.loads(webhook.bodies[-1])["alarm"] == "vacuum"
    over(second[0], later + SECOND)
    assert delivery.deliver_due(NOW + 9 * MINUTE) == 0
    assert delivery.deliver_due(NOW + 11 * MINUTE) == 21
    [_, letter] = [said for said in map(json.loads, webhook.bodies) if said["cause"] == "many"]
    assert "29 more alarms" in letter["text"]
    first = Alarm.objects.get(name="a 29")
    over(first, NOW + 12 * MINUTE)
    assert delivery.deliver_due(NOW + 12 * MINUTE) == 0
