"""What the replaced system knew of values and PVs is here after `import_webmon_values`."""

import datetime as dt
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from dasmon_listener.models import Alarm, Equipment, Latest, MonitoredPv, Recipient, Series
from tests.integration.workflow_manager.old_system import OldDatabase

pytestmark = pytest.mark.django_db

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
AGO = NOW - dt.timedelta(hours=3)


def fill(old: OldDatabase) -> None:
    for name in ("common", "hys", "arcs"):
        old.instrument(name)
    psycopg.ClientCursor(old.link).execute(
        """
        INSERT INTO pvmon_pvname (name, monitored)
            VALUES ('s1', true), ('mode', true), ('nobody', true);
        INSERT INTO pvmon_pv (value, status, instrument_id, name_id, timestamp) VALUES
            (1, 0, 2, 1, %(ago)s), (1.5, 2, 2, 1, %(now)s), (9, 0, NULL, 3, %(ago)s),
            (7, 0, 2, 1, %(ago)s - interval '1 day');
        INSERT INTO pvmon_pvcache (value, status, instrument_id, name_id, timestamp) VALUES
            (1, 0, 2, 1, %(ago)s), (1.5, 2, 2, 1, %(now)s), (9, 0, NULL, 3, %(ago)s),
            (8, 0, NULL, 3, %(ago)s - interval '1 s');
        INSERT INTO pvmon_pvstringcache (value, status, instrument_id, name_id, timestamp)
            VALUES ('Histogram', 1, 2, 2, %(now)s);
        INSERT INTO pvmon_monitoredvariable
            (rule_name, instrument_id, pv_name_id, created, updated) VALUES
            ('', 2, 2, %(ago)s, %(ago)s), ('hot', 2, 1, %(ago)s, %(now)s),
            ('', 3, NULL, %(ago)s, %(ago)s);
        INSERT INTO dasmon_parameter (name, monitored)
            VALUES ('counts', true), ('title', true), ('noise', false), ('system_dasmon', true);
        INSERT INTO dasmon_statusvariable (value, timestamp, instrument_id_id, key_id_id) VALUES
            ('3.03988e+10', %(ago)s, 2, 1), ('12', %(now)s, 2, 1), ('True', %(now)s, 2, 2),
            ('0', %(now)s, 1, 4);
        INSERT INTO dasmon_statuscache (value, timestamp, instrument_id_id, key_id_id) VALUES
            ('12', %(now)s, 2, 1), ('1e999', %(now)s, 2, 2), ('5', %(now)s, 3, 3),
            ('0', %(now)s, 1, 4);
        INSERT INTO dasmon_signal (name, source, message, level, timestamp, instrument_id_id) VALUES
            ('SV', 'DAS', 'high', 3, %(ago)s, 2), ('DEAD', 'DAS', '', 3, '2020-01-01Z', 3);
        INSERT INTO dasmon_activeinstrument
            (is_alive, is_adara, has_pvsd, has_pvstreamer, instrument_id_id)
            VALUES (true, false, true, false, 2);
        INSERT INTO auth_user (username) VALUES ('ann'), ('unknown');
        INSERT INTO dasmon_usernotification (user_id, email, registered)
            VALUES (1, 'ann@x', true), (2, 'unknown@x', true);
        INSERT INTO dasmon_usernotification_instruments (usernotification_id, instrument_id)
            VALUES (1, 2), (2, 2);
        """,
        {"now": NOW, "ago": AGO},
    )


def samples() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.name, s.name, x.at, x.value, x.text, x.status FROM dasmon_sample x"
            " JOIN dasmon_series s ON s.id = x.series_id"
            " LEFT JOIN workflow_instrument i ON i.id = s.instrument_id ORDER BY 1, 2, 3"
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def move(old: OldDatabase) -> list[str]:
    said = StringIO()
    call_command("import_webmon_values", address=old.address, stdout=said)
    return said.getvalue().splitlines()


def test_all_of_it_is_here_and_a_second_import_brings_nothing(old: OldDatabase) -> None:
    fill(old)
    ann = User.objects.create(username="ann")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE dasmon_sample")
    first = move(old)
    assert samples() == [
        ("hys", "counts", AGO, 30398800000, "3.03988e+10", None),
        ("hys", "counts", NOW, 12, None, None),
        ("hys", "s1", AGO, 1, None, 0),
        ("hys", "s1", NOW, 1.5, None, 2),
        ("hys", "title", NOW, None, "True", None),
        (None, "nobody", AGO, 9, None, 0),
    ]
    newest = Latest.objects.order_by("series__instrument__name", "series__name")
    assert list(newest.values_list("series__name", "at", "value", "text", "status")) == [
        ("noise", NOW, 5, None, None),
        ("counts", NOW, 12, None, None),
        ("mode", NOW, None, "Histogram", 1),
        ("s1", NOW, 1.5, None, 2),
        ("title", NOW, None, "1e999", None),
        ("nobody", AGO, 9, None, 0),
    ]
    assert list(Series.objects.filter(is_recorded=False).values_list("name")) == [("noise",)]
    chosen = MonitoredPv.objects.values_list("name", "rule_name", "created_at", "updated_at")
    assert list(chosen) == [("mode", "", AGO, AGO), ("s1", "hot", AGO, NOW)]
    alarm = Alarm.objects.get()
    assert (alarm.name, alarm.level, alarm.message, alarm.raised_at) == ("SV", 3, "high", AGO)
    assert alarm.events.count() == 1
    equipment = Equipment.objects.get()
    assert (equipment.is_adara, equipment.has_pvsd, equipment.has_pvstreamer) == (
        False,
        True,
        False,
    )
    recipient = Recipient.objects.get()
    assert (recipient.owner, recipient.address) == (ann, "ann@x")
    assert [each.name for each in recipient.instruments.all()] == ["hys"]

    before = samples(), list(newest.values())
    second = move(old)
    assert (samples(), list(newest.values())) == before
    assert first[:5] == [
        *("2 monitored PVs", "1 instruments with their equipment", "1 signals of the last day"),
        *("1 registrations for e-mail", "6 newest values"),
    ]
    assert all(line.startswith("0 ") for line in second)


def test_what_is_newer_or_chosen_here_stays(old: OldDatabase) -> None:
    fill(old)
    later = int(NOW.timestamp()) + 30
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO workflow_instrument (name) VALUES ('hys')")
        cursor.execute("SELECT pvUpdate('HYS', 's1', 42, 5, %s)", [later])
        cursor.execute("SELECT setInstrumentPVs('HYS', '{other}')")
    move(old)
    assert Latest.objects.get(series__name="s1").value == 42
    assert [pv.name for pv in MonitoredPv.objects.all()] == ["other"]


def test_an_old_database_that_is_away_is_told() -> None:
    with pytest.raises(CommandError, match="The old database is away"):
        call_command("import_webmon_values", address="postgresql://127.0.0.1:1/nothing")
