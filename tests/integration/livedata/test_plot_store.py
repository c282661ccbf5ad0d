"""The plot store keeps its contract with publishers and readers in the field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from livedata.access import FAILURES_PER_MINUTE, TRUSTED_SECONDS, VerifiedLogins
from livedata.domain.keys import plot_key
from livedata.models import Stream, StreamMessage
from tests.integration.livedata.conftest import PASSWORD, SECRET

pytestmark = pytest.mark.django_db

DIV = "<div>plot é</div>"


def upload(
    client: Client,
    content: str | bytes = DIV,
    address: str = "arcs/214583/upload_plot_data",
    **fields: str,
) -> Any:
    stored = content.encode() if isinstance(content, str) else content
    form = {"username": "uploads", "password": PASSWORD, **fields}
    file = SimpleUploadedFile("plot", stored)
    return client.post(f"/plots/{address}/", {**form, "file": file})


def read(
    client: Client, kind: str = "html", name: str = "arcs", run: str = "214583", **headers: str
) -> Any:
    key = plot_key(name, run, SECRET)
    address = f"/plots/{name}/{run}/update/{kind}/?key={key}"
    return client.get(address, headers=headers)


@pytest.mark.usefixtures("uploads")
class TestUploadAndRead:
    def test_html(self, client: Client) -> None:
        stored = upload(client)
        assert (stored.status_code, stored.content) == (200, b"")
        assert stored["Content-Type"] == "text/html; charset=utf-8"
        found = read(client)
        assert (found.status_code, found.content) == (200, DIV.encode())
        assert found["Content-Type"] == "text/html; charset=utf-8"
        assert found["Content-Length"] == str(len(DIV.encode()))

    def test_json(self, client: Client) -> None:
        assert upload(client, '{"a":[1,NaN],"b":"é"}').status_code == 200
        found = read(client, "json")
        assert (found.status_code, found["Content-Type"]) == (200, "application/json")
        assert found.content == b'{"a": [1, null], "b": "\\u00e9"}'

    def test_the_case_of_the_instrument_does_not_matter(self, client: Client) -> None:
        upload(client, address="ARCS/214583/upload_plot_data")
        assert read(client, name="Arcs").content == DIV.encode()

    def test_names_may_have_hyphens(self, client: Client) -> None:
        upload(client, address="cg-1d/1/upload_plot_data")
        assert read(client, name="CG-1D", run="1").status_code == 200

    def test_zeros_before_the_run(self, client: Client) -> None:
        upload(client, address="arcs/007/upload_plot_data")
        assert read(client, run="7").status_code == 200
        assert read(client, run="007").status_code == 200

    def test_the_last_upload_wins_at_once(self, client: Client) -> None:
        upload(client)
        assert read(client).content == DIV.encode()
        upload(client, "<div>2</div>")
        assert read(client).content == b"<div>2</div>"
        upload(client, "[2]")
        assert read(client).status_code == 404
        assert read(client, "json").json() == [2]

    def test_what_is_not_there(self, client: Client) -> None:
        found = read(client, name="ARCS", run="0012")
        assert (found.status_code, found.content) == (404, b"No data available for ARCS 0012")
        assert read(client, run="9" * 30).status_code == 404

    def test_a_type_that_no_view_shows(self, client: Client) -> None:
        assert upload(client, data_type="101").status_code == 200
        assert read(client).status_code == 404

    def test_a_declared_type(self, client: Client) -> None:
        upload(client, " <div>", data_type="1")
        assert read(client).content == b" <div>"

    def test_head(self, client: Client) -> None:
        upload(client)
        key = plot_key("arcs", "214583", SECRET)
        found = client.head(f"/plots/arcs/214583/update/html/?key={key}")
        assert (found.status_code, found.content) == (200, b"")

    def test_a_reader_who_has_it_gets_nothing(self, client: Client) -> None:
        upload(client)
        first = read(client)
        assert first["Cache-Control"] == "no-cache"
        again = read(client, if_none_match=first["ETag"])
        assert (again.status_code, again.content) == (304, b"")
        upload(client)
        assert read(client, if_none_match=first["ETag"]).status_code == 200

    def test_an_uploaded_page_opened_by_itself_is_boxed_in(self, client: Client) -> None:
        upload(client, "<div><script>alert(1)</script></div>")
        assert read(client)["Content-Security-Policy"].startswith("sandbox; default-src 'none'")

    def test_without_the_slash(self, client: Client) -> None:
        assert client.get("/plots/arcs/1/update/html").status_code == 301


@pytest.mark.usefixtures("uploads")
class TestKeys:
    ADDRESS = "/plots/arcs/214583/update/html/"
    KEY = plot_key("arcs", "214583", SECRET)

    def status(self, query: str = "", **headers: str) -> int:
        client = Client()
        upload(client)
        response = client.get(self.ADDRESS + query, headers=headers)
        assert response.status_code == 200 or response.content == b""
        return response.status_code

    def test_header(self) -> None:
        assert self.status(authorization=self.KEY) == 200

    def test_query(self) -> None:
        assert self.status(f"?key={self.KEY}") == 200

    def test_none(self) -> None:
        assert self.status() == 401

    def test_wrong(self) -> None:
        assert self.status("?key=wrong") == 401

    def test_scheme_word(self) -> None:
        assert self.status(authorization=f"Bearer {self.KEY}") == 401

    def test_the_header_counts_before_the_query(self) -> None:
        assert self.status(f"?key={self.KEY}", authorization="wrong") == 401

    def test_without_a_secret_a_session_is_needed(self, settings: Settings) -> None:
        settings.LIVEDATA_PLOT_SECRET = ""
        publisher = Client()
        upload(publisher)
        assert publisher.get(self.ADDRESS).status_code == 200
        open_key = plot_key("arcs", "214583", "")
        assert Client().get(f"{self.ADDRESS}?key={open_key}").status_code == 401


class TestAccounts:
    ADDRESS = "/plots/arcs/1/upload_plot_data/"

    def test_nobody(self, client: Client) -> None:
        for method in (client.get, client.post, client.head):
            response = method(self.ADDRESS)
            assert (response.status_code, response.content) == (401, b"")

    def test_a_wrong_password(self, client: Client, uploads: User) -> None:
        response = upload(client, password="wrong")
        assert (response.status_code, response.content) == (401, b"")
        assert upload(client, username="a\0b").status_code == 401
        assert not Stream.objects.exists()

    def test_basic_authentication_is_not_for_us(self, client: Client, uploads: User) -> None:
        headers = {"Authorization": "Basic dXBsb2Fkczpjb3JyZWN0IGhvcnNl"}
        assert client.post(self.ADDRESS, headers=headers).status_code == 401

    def test_the_cookie_replaces_the_password(self, client: Client, uploads: User) -> None:
        first = upload(client)
        assert {"sessionid", "csrftoken"} <= set(first.cookies)
        strict = Client(enforce_csrf_checks=True)
        strict.cookies["sessionid"] = first.cookies["sessionid"].value
        response = strict.post(self.ADDRESS, {"file": SimpleUploadedFile("plot", DIV.encode())})
        assert response.status_code == 200
        assert strict.get(self.ADDRESS).status_code == 400

    def test_uploads_share_a_session_and_every_one_gets_it(self, uploads: User) -> None:
        answers = [upload(Client()) for _ in range(3)]
        assert len({answer.cookies["sessionid"].value for answer in answers}) == 1
        assert all("csrftoken" in answer.cookies for answer in answers)
        assert Session.objects.count() == 1

    def test_a_new_password_counts_at_once(self, uploads: User) -> None:
        assert upload(Client()).status_code == 200
        uploads.set_password("new")
        uploads.save()
        assert upload(Client()).status_code == 401
        assert upload(Client(), password="new").status_code == 200

    def test_a_deactivated_account_is_out_at_once(self, uploads: User) -> None:
        assert upload(Client()).status_code == 200
        uploads.is_active = False
        uploads.save()
        assert upload(Client()).status_code == 401

    def test_guessing_has_to_wait(self, uploads: User) -> None:
        guesses = [upload(Client(), password=str(n)) for n in range(FAILURES_PER_MINUTE)]
        assert {answer.status_code for answer in guesses} == {401}
        late = upload(Client())
        assert (late.status_code, late["Retry-After"]) == (429, "60")

    def test_a_verified_login_is_forgotten_after_a_minute(self, uploads: User) -> None:
        now = 0.0
        logins = VerifiedLogins(lambda: now)
        logins.remember(uploads, "uploads", PASSWORD, "session")
        assert logins.session_key(uploads, "uploads", PASSWORD) == "session"
        assert logins.session_key(uploads, "uploads", "other") is None
        now = TRUSTED_SECONDS + 1
        assert logins.session_key(uploads, "uploads", PASSWORD) is None


@pytest.mark.usefixtures("uploads")
class TestMistakes:
    @pytest.mark.parametrize(
        ("content", "fields", "says"),
        [
            (b"<div>\xe9</div>", {}, "not UTF-8"),
            ('{"data": [{"x": [1, 2', {}, "neither a plot <div> nor JSON"),
            ("<div>", {"data_type": "0"}, "neither"),
            (DIV, {"data_type": "html"}, "data_type 'html'"),
            (DIV, {"expiration_date": "soon"}, "no ISO date"),
        ],
    )
    def test_one_sentence_and_nothing_stored(
        self, client: Client, content: str | bytes, fields: dict[str, str], says: str
    ) -> None:
        response = upload(client, content, **fields)
        assert response.status_code == 400
        assert says in response.content.decode()
        assert not Stream.objects.exists()

    def test_no_file_part(self, client: Client) -> None:
        form = {"username": "uploads", "password": PASSWORD, "file": DIV}
        response = client.post("/plots/arcs/1/upload_plot_data/", form)
        assert (response.status_code, response.content) == (400, b"")

    def test_a_run_that_no_database_can_hold(self, client: Client) -> None:
        response = upload(client, address=f"arcs/{2**63}/upload_plot_data")
        assert (response.status_code, b"too large" in response.content) == (400, True)

    def test_a_run_that_the_old_database_could_not_hold(self, client: Client) -> None:
        assert upload(client, address=f"arcs/{2**31}/upload_plot_data").status_code == 200

    def test_long_names(self, client: Client) -> None:
        assert upload(client, address="a" * 200 + "/1/upload_plot_data").status_code == 400
        assert upload(client, address="me/upload_user_data", data_id="a\0").status_code == 400

    @pytest.mark.parametrize("size", [1_000_001, 1_200_000])
    def test_too_large(self, client: Client, size: int) -> None:
        response = upload(client, b"<div>" + b" " * (size - 5))
        assert response.status_code == 413
        assert "larger than 1000000 bytes" in response.content.decode()
        assert not Stream.objects.exists()

    def test_the_largest(self, client: Client) -> None:
        assert upload(client, b"<div>" + b" " * 999_995).status_code == 200


@pytest.mark.usefixtures("uploads")
class TestUserDataAndLists:
    def test_user_data_is_read_with_its_number(self, client: Client) -> None:
        assert upload(client, address="Me/upload_user_data", data_id="a").status_code == 200
        upload(client, "<div>2</div>", address="me/upload_user_data", data_id="a")
        upload(client, "<div>3</div>", address="me/upload_user_data")
        first, second = client.post("/plots/ME/list/").json()
        assert [first["run_id"], second["run_id"]] == ["a", ""]
        assert [first["run_number"], second["run_number"]] == [
            str(first["id"]),
            str(second["id"]),
        ]
        assert read(client, name="me", run=first["run_number"]).content == b"<div>2</div>"
        assert read(client, name="me", run=second["run_number"]).content == b"<div>3</div>"

    def test_life_times(self, client: Client) -> None:
        upload(client)
        upload(client, address="me/upload_user_data")
        upload(client, address="arcs/2/upload_plot_data", expiration_date="2030-01-31")
        upload(client, address="arcs/2/upload_plot_data", expiration_date="2031-01-31")
        plot, user, own = Stream.objects.order_by("id")
        assert plot.expires_at is not None
        assert abs(plot.expires_at - plot.created_at - timedelta(days=1095)) < timedelta(minutes=1)
        assert user.expires_at == datetime(2100, 1, 1, tzinfo=UTC)
        assert own.expires_at == datetime(2030, 1, 31, tzinfo=UTC)

    def test_list(self, client: Client) -> None:
        upload(client)
        created_at = datetime(2026, 11, 20, 10, 38, 1, 972770, tzinfo=UTC)
        Stream.objects.update(created_at=created_at, expires_at=None)
        stream = Stream.objects.get()
        entry = {
            "id": stream.id,
            "run_number": "214583",
            "run_id": "",
            "timestamp": "2026-11-20T10:38:01.972770+00:00",
            "created_on": "Nov. 20, 2026, 5:38 a.m.",
        }
        assert client.post("/plots/arcs/list/").json() == [entry]
        extra: dict[str, Any] = {"expiration_date": None, "expired": False}
        assert client.post("/plots/arcs/list/", {"extra": "False"}).json() == [entry | extra]
        Stream.objects.update(expires_at=datetime(2026, 7, 1, 16, tzinfo=UTC))
        extra = {"expiration_date": "July 1, 2026, noon", "expired": True}
        assert client.get("/plots/arcs/list/").json() == [entry]
        assert client.post("/plots/arcs/list/", {"extra": "1"}).json() == [entry | extra]

    def test_list_of_nothing(self, client: Client, uploads: User) -> None:
        assert client.post("/plots/arcs/list/").status_code == 401
        client.force_login(uploads)
        assert client.post("/plots/arcs/list/").status_code == 404


class TestOtherOrigins:
    @pytest.mark.parametrize(
        "address",
        ["arcs/1/update/html", "arcs/1/update/json", "arcs/1/upload_plot_data", "arcs/list"],
    )
    def test_preflight_needs_no_login(self, client: Client, address: str) -> None:
        response = client.options(
            f"/plots/{address}/",
            headers={"Origin": "https://a.b", "Access-Control-Request-Method": "GET"},
        )
        assert (response.status_code, response.content) == (200, b"")
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "authorization" in response["Access-Control-Allow-Headers"]
        assert response["Access-Control-Allow-Methods"] == "DELETE, GET, OPTIONS, PATCH, POST, PUT"
        assert response["Access-Control-Max-Age"] == "86400"
        assert "Access-Control-Allow-Credentials" not in response

    def test_answers_can_be_read_by_every_origin(self, client: Client) -> None:
        response = client.get("/plots/arcs/1/update/html/", headers={"Origin": "https://a.b"})
        assert response.status_code == 401
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "origin" in response["Vary"].lower()

    def test_a_read_address_takes_no_post(self) -> None:
        client = Client(enforce_csrf_checks=True)
        assert client.post("/plots/arcs/1/update/html/").status_code == 403


def test_timestamps_of_messages_are_renewed_and_those_of_streams_are_not(
    client: Client, uploads: User
) -> None:
    long_ago = timezone.now() - timedelta(days=9)
    upload(client)
    Stream.objects.update(created_at=long_ago)
    StreamMessage.objects.update(at=long_ago)
    upload(client)
    assert Stream.objects.get().created_at == long_ago
    assert StreamMessage.objects.get(index=2).at > long_ago
