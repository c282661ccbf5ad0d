"""What staff change at /database/: usable with twenty-five thousand names."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dasmon_listener.models import Equipment, MonitoredPv, Series
from workflow_manager.models import Instrument

pytestmark = pytest.mark.django_db

_SERIES = "/database/dasmon_listener/series/"


@pytest.fixture
def staff(admin_client: Client, settings: Settings) -> Client:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}
    return admin_client


@pytest.fixture
def hys() -> Instrument:
    """With 25 000 PVs."""
    hys = Instrument.objects.create(name="hys")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dasmon_series (instrument_id, kind, name)"
            " SELECT %s, 0, 'BL14B:Mot:s' || n FROM generate_series(0, 24999) AS n",
            [hys.pk],
        )
    return hys


def test_series_are_searched_and_no_page_lists_them_all(staff: Client, hys: Instrument) -> None:
    with CaptureQueriesContext(
        connection,
    ) as statements:
        page = staff.get(_SERIES, {"q": "mot:s2499"}).content.decode()
    assert len(statements) <= 12
    assert page.count("BL14B:Mot:s2499") == 11
    addresses = [_SERIES, f"{_SERIES}{Series.objects.first().pk}/change/"]  # type: ignore[union-attr]
    addresses += ["/database/dasmon_listener/monitoredpv/add/"]
    for address in addresses:
        assert len(staff.get(address).content) < 100_000, address


def test_what_is_not_to_be_kept_is_switched_off_in_the_list(staff: Client, hys: Instrument) -> None:
    series = Series.objects.get(name="BL14B:Mot:s24999")
    form = {
        **{"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "_save": "Save"},
        "form-0-id": str(series.pk),
    }
    answer = staff.post(f"{_SERIES}?q=s24999", form)
    assert answer.status_code == 302
    with connection.cursor() as cursor:
        cursor.execute("SELECT pvUpdate('HYS', 'BL14B:Mot:s24999', 1, 0, 1771500000)")
    series.refresh_from_db()
    assert not series.is_recorded
    assert not hasattr(series, "latest")


def test_monitored_pvs_and_equipment(staff: Client) -> None:
    hys = Instrument.objects.create(name="hys")
    pv = {"instrument": hys.pk, "name": "BL14B:Mot:s1", "position": 1, "rule_name": "hot"}
    staff.post("/database/dasmon_listener/monitoredpv/add/", pv)
    assert MonitoredPv.objects.get(instrument=hys).rule_name == "hot"
    staff.post("/database/dasmon_listener/equipment/add/", {"instrument": hys.pk, "has_pvsd": "on"})
    equipment = Equipment.objects.get(instrument=hys)
    assert (equipment.is_alive, equipment.has_pvsd) == (False, True)
