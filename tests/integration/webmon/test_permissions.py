"""Who may open what: every address, for every kind of person."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client

from dasmon_listener.models import Alarm, AlarmRule, AlarmSetting, Recipient
from tests.integration.webmon import rows
from workflow_manager import batches
from workflow_manager.domain.steps import Step
from workflow_manager.models import Batch, Event, Job, RejectedMessage

LOG_IN = "log in"
PEOPLE = ("anonymous", "uploads", "user", "scientist", "admin")

TABLE = {
    "/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/arcs/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/nowhere/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/arcs/pvs/": (LOG_IN, 403, 403, 200, 200),
    "/dasmon/arcs/update/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/arcs/signals/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/arcs/runs/": (LOG_IN, 403, 302, 302, 302),
    "/dasmon/arcs/diagnostics/": (LOG_IN, 403, 302, 302, 302),
    "/dasmon/common/diagnostics/": (LOG_IN, 302, 302, 302, 302),
    "/dasmon/update/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/dashboard/update/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/dashboard/": (LOG_IN, 302, 302, 302, 302),
    "/dasmon/expert/": (LOG_IN, 302, 302, 302, 302),
    "/dasmon/summary/": (LOG_IN, 302, 302, 302, 302),
    "/pvmon/arcs/": (LOG_IN, 403, 200, 200, 200),
    "/pvmon/nowhere/": (LOG_IN, 403, 404, 404, 404),
    "/pvmon/arcs/series/?pv=Temp": (LOG_IN, 403, 200, 200, 200),
    "/pvmon/arcs/names/?part=a": (LOG_IN, 403, 200, 200, 200),
    "/pvmon/arcs/export.csv?pv=Temp": (LOG_IN, 403, 200, 200, 200),
    "/pvmon/arcs/export.json?pv=Temp": (LOG_IN, 403, 200, 200, 200),
    "/pvmon/arcs/update/": (401, 403, 200, 200, 200),
    "/report/": (LOG_IN, 403, 200, 200, 200),
    "/report/arcs/": (LOG_IN, 403, 200, 200, 200),
    "/report/ARCS/": (LOG_IN, 403, 200, 200, 200),
    "/report/nowhere/": (LOG_IN, 403, 404, 404, 404),
    "/report/arcs/214583/": (LOG_IN, 403, 200, 200, 200),
    "/report/arcs/99/": (LOG_IN, 403, 404, 404, 404),
    "/report/arcs/99999999999999999999/": (LOG_IN, 403, 404, 404, 404),
    "/search/?q=nothing": (LOG_IN, 403, 200, 200, 200),
    "/alarms/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/count/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/history/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/{alarm}/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/99999999999999999999/": (LOG_IN, 403, 404, 404, 404),
    "/alarms/rules/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/rules/new/": (LOG_IN, 403, 403, 200, 200),
    "/alarms/rules/names/?instrument=arcs": (LOG_IN, 403, 200, 200, 200),
    "/alarms/rules/preview/?instrument=arcs": (LOG_IN, 403, 200, 200, 200),
    "/alarms/rules/{rule}/": (LOG_IN, 403, 200, 200, 200),
    "/alarms/rules/{rule}/delete/": (LOG_IN, 403, 403, 200, 200),
    "/alarms/rules/99999999999999999999/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/arcs/signals/ack/{alarm}/": (LOG_IN, 403, 403, 200, 200),
    "/system/rejected/": (LOG_IN, 403, 403, 403, 200),
    "/system/rejected/{rejected}/": (LOG_IN, 403, 403, 403, 200),
    "/system/rejected/99999999999999999999999/": (LOG_IN, 403, 403, 403, 404),
    "/system/": (LOG_IN, 403, 403, 403, 200),
    "/system/discrepancies/": (LOG_IN, 403, 403, 403, 200),
    "/system/listener/": (LOG_IN, 403, 403, 403, 200),
    "/system/batches/": (LOG_IN, 403, 403, 200, 200),
    "/system/batches/new/": (LOG_IN, 403, 403, 200, 200),
    "/system/batches/{batch}/": (LOG_IN, 403, 403, 200, 200),
    "/system/batches/{batch}/cancel/": (LOG_IN, 403, 403, 200, 200),
    "/system/batches/{others}/cancel/": (LOG_IN, 403, 403, 403, 200),
    "/system/batches/99999999999999999999999/": (LOG_IN, 403, 403, 404, 404),
    "/report/arcs/214583/reduce/": (LOG_IN, 403, 403, 200, 200),
    "/report/arcs/214583/catalog/": (LOG_IN, 403, 403, 200, 200),
    "/report/arcs/214583/postprocess/": (LOG_IN, 403, 403, 200, 200),
    "/report/arcs/99/reduce/": (LOG_IN, 403, 403, 404, 404),
    "/report/arcs/214583/data/": (404, 404, 404, 404, 404),
    "/dasmon/notifications/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/notifications/?of=all": (LOG_IN, 403, 403, 403, 200),
    "/dasmon/notifications/new/": (LOG_IN, 403, 200, 200, 200),
    "/dasmon/notifications/{recipient}/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/{recipient}/remove/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/99999999999999999999999/": (LOG_IN, 403, 404, 404, 404),
    "/events/?key=bad+key!": (LOG_IN, 403, 400, 400, 400),
    "/plots/arcs/214583/history/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/214583/history/1/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/214583/history/2/": (LOG_IN, 403, 404, 404, 404),
    "/plots/arcs/214583/figure/": (LOG_IN, 403, 200, 200, 200),
    "/plots/arcs/99/figure/": (LOG_IN, 403, 404, 404, 404),
    "/users/login": (200, 302, 302, 302, 302),
    "/users/logout": (200, 200, 200, 200, 200),
    "/ht/": (200, 200, 200, 200, 200),
    "/robots.txt": (200, 200, 200, 200, 200),
    "/favicon.ico": (302, 302, 302, 302, 302),
    "/database/": (302, 302, 302, 302, 200),
    "/database/login/": (LOG_IN, 403, 403, 403, 403),
    "/no/such/page/": (404, 404, 404, 404, 404),
}


# What changes something: only by POST. Each line is tried with rows of its own.
CHANGES = {
    "/report/arcs/214583/reduce/": (LOG_IN, 403, 403, 302, 302),
    "/report/arcs/214583/catalog/": (LOG_IN, 403, 403, 302, 302),
    "/report/arcs/214583/postprocess/": (LOG_IN, 403, 403, 302, 302),
    "/alarms/acknowledge/": (LOG_IN, 403, 409, 409, 409),
    "/alarms/shelve/": (LOG_IN, 403, 409, 409, 409),
    "/alarms/unshelve/?alarm={alarm}": (LOG_IN, 403, 404, 404, 404),
    "/alarms/{alarm}/describe/": (LOG_IN, 403, 403, 302, 302),
    "/alarms/{alarm}/close/": (LOG_IN, 403, 403, 409, 409),
    "/alarms/rules/new/": (LOG_IN, 403, 403, 409, 409),
    "/alarms/rules/{rule}/": (LOG_IN, 403, 403, 409, 409),
    "/alarms/rules/{rule}/enable/": (LOG_IN, 403, 403, 302, 302),
    "/alarms/rules/{rule}/disable/": (LOG_IN, 403, 403, 302, 302),
    "/alarms/rules/{rule}/delete/": (LOG_IN, 403, 403, 302, 302),
    "/dasmon/arcs/signals/ack/{alarm}/": (LOG_IN, 403, 403, 302, 302),
    "/system/batches/new/": (LOG_IN, 403, 403, 409, 409),
    "/system/batches/{batch}/pause/": (LOG_IN, 403, 403, 302, 302),
    "/system/batches/{batch}/resume/": (LOG_IN, 403, 403, 409, 409),
    "/system/batches/{batch}/cancel/": (LOG_IN, 403, 403, 302, 302),
    "/system/batches/{batch}/retry/": (LOG_IN, 403, 403, 409, 409),
    "/system/batches/{others}/pause/": (LOG_IN, 403, 403, 403, 302),
    "/system/batches/{others}/resume/": (LOG_IN, 403, 403, 403, 409),
    "/system/batches/{others}/cancel/": (LOG_IN, 403, 403, 403, 302),
    "/system/batches/{others}/retry/": (LOG_IN, 403, 403, 403, 409),
    "/system/batches/99999999999999999999999/pause/": (LOG_IN, 403, 403, 404, 404),
    "/dasmon/arcs/pvs/": (LOG_IN, 403, 403, 302, 302),
    "/system/rejected/{rejected}/replay/": (LOG_IN, 403, 403, 403, 409),
    "/system/rejected/{rejected}/replay_like/": (LOG_IN, 403, 403, 403, 200),
    "/system/rejected/{rejected}/discard/": (LOG_IN, 403, 403, 403, 409),
    "/system/rejected/99999999999999999999999/replay/": (LOG_IN, 403, 403, 403, 404),
    "/dasmon/notifications/new/": (LOG_IN, 403, 422, 422, 422),
    "/dasmon/notifications/{recipient}/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/{recipient}/test/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/{recipient}/on/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/{recipient}/off/": (LOG_IN, 403, 404, 404, 404),
    "/dasmon/notifications/{recipient}/remove/": (LOG_IN, 403, 404, 404, 404),
}


def things() -> dict[str, int]:
    """Rows of everything that an address may name."""
    run = rows.add_run()
    rows.add_plot(run)
    own, others = (
        batches.request_step_of_many([run.id], Step.REDUCTION, by=by).id
        for by in ("scientist", "somebody")
    )
    alarm = rows.raise_alarm()
    somebody = User.objects.create(username="somebody")
    recipient = Recipient.objects.create(owner=somebody, way="email", address="s@example.org")
    return {
        "rejected": rows.reject().id,
        "batch": own,
        "others": others,
        "alarm": alarm.id,
        "rule": rows.add_rule(alarm.instrument).id,
        "recipient": recipient.id,
    }


def seen(response: HttpResponseBase) -> int | str:
    sent_to_log_in = response.get("Location", "").startswith("/users/login?next=")
    return LOG_IN if sent_to_log_in else response.status_code


@pytest.mark.parametrize("place", range(len(PEOPLE)), ids=PEOPLE)
def test_every_page(place: int, client_of: Callable[[str], Client]) -> None:
    named, client = things(), client_of(PEOPLE[place])
    answered = {address: seen(client.get(address.format(**named))) for address in TABLE}
    assert answered == {address: expected[place] for address, expected in TABLE.items()}


@pytest.mark.parametrize("place", range(len(PEOPLE)), ids=PEOPLE)
def test_every_change(place: int, client_of: Callable[[str], Client]) -> None:
    """Each is undone before the next one is tried."""
    named, client = things(), client_of(PEOPLE[place])
    before, answered = everything(), {}
    for address in CHANGES:
        with transaction.atomic():
            answered[address] = seen(client.post(address.format(**named)))
            if answered[address] != 302:
                assert everything() == before, address
            transaction.set_rollback(True)
    assert answered == {address: expected[place] for address, expected in CHANGES.items()}


def test_no_change_without_the_form_s_token(db: None, tmp_path: Path) -> None:
    named = things()
    client = Client(enforce_csrf_checks=True)
    client.force_login(rows.account("admin", tmp_path))
    answered = {address: client.post(address.format(**named)).status_code for address in CHANGES}
    assert set(answered.values()) == {403}


def everything() -> list[Any]:
    """What people may change."""
    kept = (Batch, Alarm, AlarmSetting, AlarmRule)
    return [Job.objects.count(), Event.objects.count(), *(list(k.objects.values()) for k in kept)]


def test_opening_an_address_changes_nothing(admin: Client) -> None:
    """In the replaced system a link was enough to send a run off."""
    named = things()
    before = everything()
    for address in [*TABLE, *CHANGES]:
        if "logout" not in address:
            assert admin.get(address.format(**named)).status_code in {200, 302, 400, 403, 404, 405}
    assert before == everything()
    assert RejectedMessage.objects.get().outcome == "open"


def test_every_address_is_in_the_table() -> None:
    """A new page has to say here who may open it; plots have their own tests."""
    from django.urls import get_resolver

    own = {
        str(pattern.pattern)
        for entry in get_resolver().url_patterns
        if str(entry.pattern) not in {"plots/", "database/"}
        for pattern in getattr(entry, "url_patterns", [entry])
    }
    assert own == {
        "",
        "dasmon/",
        "dashboard/",
        "expert/",
        "summary/",
        "update/",
        "dashboard/update/",
        "common/diagnostics/",
        "<str:instrument>/",
        "<str:instrument>/pvs/",
        "<str:instrument>/update/",
        "<str:instrument>/series/",
        "<str:instrument>/names/",
        "<str:instrument>/export.csv",
        "<str:instrument>/export.json",
        "<str:instrument>/signals/",
        "<str:instrument>/runs/",
        "<str:instrument>/diagnostics/",
        "search/",
        "report/",
        "report/<str:instrument>/",
        "report/<str:instrument>/<int:number>/",
        "login",
        "logout",
        "listener/",
        "count/",
        "acknowledge/",
        "shelve/",
        "unshelve/",
        "history/",
        "<int:alarm>/",
        "<int:alarm>/describe/",
        "<int:alarm>/close/",
        "rules/",
        "rules/new/",
        "rules/names/",
        "rules/preview/",
        "rules/<int:rule>/",
        "rules/<int:rule>/enable/",
        "rules/<int:rule>/disable/",
        "rules/<int:rule>/delete/",
        "dasmon/<str:instrument>/signals/ack/<int:signal>/",
        "rejected/",
        "rejected/<int:message>/",
        "rejected/<int:message>/replay/",
        "rejected/<int:message>/replay_like/",
        "rejected/<int:message>/discard/",
        "discrepancies/",
        "new/",
        "<int:batch>/",
        "<int:batch>/pause/",
        "<int:batch>/resume/",
        "<int:batch>/cancel/",
        "<int:batch>/retry/",
        "<int:recipient>/",
        "<int:recipient>/test/",
        "<int:recipient>/on/",
        "<int:recipient>/off/",
        "<int:recipient>/remove/",
        "report/<str:instrument>/<int:number>/reduce/",
        "report/<str:instrument>/<int:number>/catalog/",
        "report/<str:instrument>/<int:number>/postprocess/",
        "events/",
        "ht/",
        "favicon.ico",
        "robots.txt",
        "database/login/",
    }


@pytest.mark.parametrize("address", ["/", "/report/", "/report/arcs/", "/report/arcs/214583/"])
def test_pages_only_read(address: str, user: Client) -> None:
    rows.add_run()
    assert user.post(address).status_code == 405
