"""Sends the outbox of notifications, and writes down what came of each try.

A row is claimed first, for longer than a try can take, then sent outside of any transaction, then
settled. Several workers never have the same claim. A worker that dies between sending and settling
leaves a claim that runs out: the try is repeated once, with the same number.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from dasmon_listener import mails, webhooks
from dasmon_listener.domain import letters
from dasmon_listener.domain.letters import Letter, Others
from dasmon_listener.domain.levels import Level
from dasmon_listener.domain.outcomes import Outcome, pause_after
from dasmon_listener.models import Alarm, AlarmSetting, Notification, Recipient
from dasmon_listener.sql import NOTIFICATIONS
from workflow_manager.services import CHANGES, notify

log = logging.getLogger(__name__)

AT_ONCE = 32
PER_HOST = 3
CLAIM = timedelta(minutes=3)
LONGEST_PASS = 20.0  # seconds in which new claims are made
# In a storm of alarms a recipient gets so many letters within this time, then one for all others.
MOST_LETTERS = 20
WINDOW = timedelta(minutes=10)
_GATHERED = "It is one of many at once, of which one letter tells."
_UNTOLD = "It had not been told that the alarm was raised."
_LOST = "The worker stopped during this try, so nobody knows whether it arrived."
_FORMS: Mapping[str, Callable[[Letter], dict[str, Any]]] = {
    Recipient.Way.WEBHOOK: letters.generic,
    Recipient.Way.SLACK: letters.slack,
    Recipient.Way.TEAMS: letters.teams,
}


def deliver_due(now: datetime | None = None) -> int:
    """Send what is due, from `now` on (the present if it is left out), and return how many arrived.

    It goes on while there is something to send, for `LONGEST_PASS` and what is under way then. What
    is slow holds up nobody but the same host.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery") as pool:
        return _Pass(pool, now or timezone.now()).run()


@dataclass(frozen=True, slots=True)
class _Try:
    notification: Notification
    at: datetime
    started: float


@dataclass(slots=True)
class _Pass:
    """One worker's turn. Its threads only send; the database is this thread's."""

    pool: ThreadPoolExecutor
    began_at: datetime
    started: float = field(default_factory=time.monotonic)
    under_way: dict[Future[Outcome], _Try] = field(default_factory=dict)

    def run(self) -> int:
        arrived = 0
        while True:
            self._begin()
            if not self.under_way:
                return arrived
            ended, _ = wait(self.under_way, timeout=1.0, return_when=FIRST_COMPLETED)
            arrived += sum(self._end(future) for future in ended)

    @property
    def _now(self) -> datetime:
        return self.began_at + timedelta(seconds=time.monotonic() - self.started)

    def _begin(self) -> None:
        """Claim as many as there are free threads, until nothing is left that must be sent."""
        while time.monotonic() - self.started < LONGEST_PASS:
            claimed = _claim(self._now, AT_ONCE - len(self.under_way))
            for notification in claimed:
                self._start(notification)
            if not claimed or self.under_way:
                return

    def _start(self, notification: Notification) -> None:
        now, decided = self._now, _decided(notification.alarm)
        if reason := _needless(notification, decided, now):
            _settle(notification, now, given_up_at=now, dropped_because=reason)
            return
        recipient, letter = notification.recipient, _letter(notification, decided, now)
        future = self.pool.submit(_send, recipient.way, recipient.address, letter)
        self.under_way[future] = _Try(notification, now, time.monotonic())

    def _end(self, future: Future[Outcome]) -> bool:
        tried = self.under_way.pop(future)
        took = timedelta(seconds=time.monotonic() - tried.started)
        outcome = _outcome(future)
        _record(tried, took, outcome, self._now)
        return outcome.is_success


def _claim(now: datetime, limit: int) -> list[Notification]:
    """Some that are due, in the order in which they became so."""
    if limit <= 0:
        return []
    values: dict[str, Any] = {
        "now": now,
        "until": now + CLAIM,
        "per_host": PER_HOST,
        "limit": limit,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NOTIFICATIONS["alone"])
        _gather(cursor, now)
        cursor.execute(NOTIFICATIONS["claim"], values)
        claimed = dict(cursor.fetchall())
        lost = [number for number, is_lost in claimed.items() if is_lost]
        if lost:
            cursor.execute(NOTIFICATIONS["lost"], {"ids": lost, "at": now, "answer": _LOST})
    if not claimed:
        return []
    rows = Notification.objects.select_related(
        "recipient__owner", "alarm__instrument", "alarm__acknowledged_by", "follows"
    )
    return list(rows.filter(id__in=claimed).order_by("due_at", "id"))


def _gather(cursor: CursorWrapper, now: datetime) -> None:
    """Put what is too much for a recipient into one letter."""
    values: dict[str, Any] = {
        "now": now,
        "window": WINDOW,
        "most": MOST_LETTERS,
        "fatal": Level.FATAL.value,
        "because": _GATHERED,
        "untold": _UNTOLD,
    }
    cursor.execute(NOTIFICATIONS["gather"], values)
    notify(cursor, CHANGES, [key for (key,) in cursor.fetchall()])


def _outcome(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    log.error("A fault of ours in sending", exc_info=error)
    return Outcome(False, f"WebMon could not send this, by a fault of its own: {error!r}")


def _decided(alarm: Alarm | None) -> AlarmSetting:
    """What people decided about alarms of this name."""
    if alarm is None:
        return AlarmSetting()
    decided = AlarmSetting.objects.filter(instrument=alarm.instrument, name=alarm.name)
    return decided.first() or AlarmSetting()


def _needless(notification: Notification, decided: AlarmSetting, now: datetime) -> str:
    """Why there is no need to tell this any more; empty if there is."""
    if not notification.recipient.owner.is_active:
        return "The account is closed."
    if notification.cause == Notification.Cause.TEST:
        return ""
    if not notification.recipient.is_enabled:
        return "The recipient is switched off."
    if notification.alarm is None:
        return ""
    if decided.shelved_until is not None and decided.shelved_until > now:
        return "The alarm is shelved."
    return _no_news(notification, notification.alarm)


def _no_news(notification: Notification, alarm: Alarm) -> str:
    if notification.cause == Notification.Cause.OVER:
        return _needless_over(notification, alarm)
    if notification.cause == Notification.Cause.ESCALATED or _is_late(notification):
        return _settled(alarm)
    return ""


def _needless_over(notification: Notification, alarm: Alarm) -> str:
    before = notification.follows
    if before is None or before.sent_at is None:
        return _UNTOLD
    return "The alarm was raised again." if alarm.over_at is None else ""


def _is_late(notification: Notification) -> bool:
    """Whether it waited for quiet hours to end, or was tried before."""
    return notification.attempts > 1 or notification.due_at > notification.created_at


def _settled(alarm: Alarm) -> str:
    """Why what was raised is no news now."""
    if alarm.over_at is not None:
        return "The alarm was over before this could be told."
    if alarm.acknowledged_at is not None:
        who = "Somebody" if alarm.acknowledged_by is None else alarm.acknowledged_by.get_username()
        return f"{who} acknowledged the alarm before this could be told."
    return ""


def _letter(notification: Notification, decided: AlarmSetting, now: datetime) -> Letter:
    alarm, zone = notification.alarm, ZoneInfo(settings.TIME_ZONE)
    if alarm is None:
        return Letter(
            notification.pk,
            notification.cause,
            zone,
            now,
            others=_others(notification),
            link=f"{settings.WEB_ADDRESS}/alarms/" if settings.WEB_ADDRESS else "",
        )
    return Letter(
        number=notification.pk,
        cause=notification.cause,
        zone=zone,
        written_at=now,
        instrument=alarm.instrument.name,
        alarm=alarm.name,
        level=Level(alarm.level).word,
        source=alarm.source,
        message=alarm.message,
        guidance=decided.guidance,
        raised_at=alarm.raised_at,
        over_at=alarm.over_at,
        link=f"{settings.WEB_ADDRESS}/alarms/{alarm.pk}/" if settings.WEB_ADDRESS else "",
    )


def _others(notification: Notification) -> tuple[Others, ...]:
    if notification.cause != Notification.Cause.MANY:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(NOTIFICATIONS["gathered"], {"letter": notification.pk})
        return tuple(Others(*row) for row in cursor.fetchall())


def _send(way: str, address: str, letter: Letter) -> Outcome:
    if way == Recipient.Way.EMAIL:
        return mails.send(address, letter)
    return webhooks.post(address, _FORMS[way](letter), settings.WEBHOOK_ALLOWED_NETWORKS)


def _record(tried: _Try, took: timedelta, outcome: Outcome, now: datetime) -> None:
    """Sent; or to be tried again after a pause; or given up. A test is tried once."""
    notification = tried.notification
    is_test = notification.cause == Notification.Cause.TEST
    pause = None if outcome.is_final or is_test else pause_after(notification.attempts)
    _settle(
        notification,
        tried.at,
        sent_at=now if outcome.is_success else None,
        given_up_at=now if not outcome.is_success and pause is None else None,
        due_at=now + pause if not outcome.is_success and pause is not None else None,
        took=took,
        answer=outcome.words.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    )
    if not outcome.is_success:
        log.warning("Notification %d was not delivered: %s", notification.pk, outcome.words)


def _settle(notification: Notification, at: datetime, **changes: Any) -> None:
    values: dict[str, Any] = {
        "id": notification.pk,
        "attempts": notification.attempts,
        "at": at,
        "sent_at": None,
        "given_up_at": None,
        "due_at": None,
        "took": None,
        "answer": None,
        "dropped_because": "",
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NOTIFICATIONS["settle"], values | changes)
        notify(cursor, CHANGES, [key for (key,) in cursor.fetchall()])
