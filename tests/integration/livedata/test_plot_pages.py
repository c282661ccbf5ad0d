"""What our own pages ask: history and figures, for people who are logged in."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from livedata.services import append

pytestmark = pytest.mark.django_db

DIV = '<div><script>Plotly.newPlot("id", [{"x": [1]}], {"title": "<a href=\'javascript:x\'>"})'


def store(text: str, data_type: int) -> None:
    append(
        instrument="arcs", run_number=1, metadata={"data_type": data_type}, content=text.encode()
    )


@pytest.fixture
def reader(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("reader"))
    return client


@pytest.mark.parametrize("address", ["history", "history/1", "figure"])
def test_strangers_are_sent_to_the_log_in(client: Client, address: str) -> None:
    store(DIV, 1)
    response = client.get(f"/plots/arcs/1/{address}/")
    assert response.status_code == 302
    assert response["Location"].startswith("/users/login")


@pytest.mark.parametrize("address", ["history", "history/1", "figure"])
def test_whom_the_policy_refuses_sees_nothing(
    reader: Client, address: str, settings: Settings
) -> None:
    store(DIV, 1)
    settings.LIVEDATA_PAGE_POLICY = f"{__name__}.nobody"
    assert reader.get(f"/plots/arcs/1/{address}/").status_code == 403


def nobody(user: User) -> bool:
    return False


def test_history_is_newest_first(reader: Client) -> None:
    store(DIV, 1)
    store("[1]", 0)
    newest, oldest = reader.get("/plots/ARCS/1/history/").json()
    assert (newest["index"], newest["kind"], newest["size"]) == (2, "json", 3)
    assert (oldest["index"], oldest["kind"], oldest["size"]) == (1, "html", len(DIV))
    assert oldest["at"].endswith("Z")
    assert reader.get("/plots/arcs/2/history/").json() == []


def test_a_plot_of_the_history(reader: Client) -> None:
    store(DIV, 1)
    store("[1]", 0)
    first = reader.get("/plots/arcs/1/history/1/")
    assert first.content == DIV.encode()
    assert "sandbox" in first["Content-Security-Policy"]
    assert reader.get("/plots/arcs/1/history/2/").json() == [1]
    assert reader.get("/plots/arcs/1/history/3/").status_code == 404
    assert reader.get(f"/plots/arcs/1/history/{2**64}/").status_code == 404


def test_figure(reader: Client) -> None:
    store(DIV, 1)
    store('{"data": [{"y": [1e999]}]}', 0)
    newest = reader.get("/plots/arcs/1/figure/")
    assert newest.json()["index"] == 2
    assert newest.json()["figures"] == [{"data": [{"y": [None]}], "layout": {}, "config": {}}]
    first = reader.get("/plots/arcs/1/figure/?index=1").json()
    assert first["figures"][0]["layout"] == {"title": '<a href="#">'}
    again = reader.get("/plots/arcs/1/figure/", headers={"If-None-Match": newest["ETag"]})
    assert again.status_code == 304


def test_no_figure_has_a_reason(reader: Client) -> None:
    store("<div>text</div>", 1)
    response = reader.get("/plots/arcs/1/figure/")
    assert response.status_code == 404
    assert "Plotly.newPlot" in response.json()["reason"]
    assert reader.get("/plots/arcs/2/figure/").status_code == 404
    assert reader.get("/plots/arcs/1/figure/?index=x").status_code == 404
