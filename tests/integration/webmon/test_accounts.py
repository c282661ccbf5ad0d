"""Log in, log out, and the command that makes accounts."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from tests.integration.webmon import rows
from webmon.accounts.throttle import FAILURES_FOR_A_NAME

pytestmark = pytest.mark.django_db


def log_in(client: Client, password: str, **more: str) -> tuple[int, str, str]:
    response = client.post("/users/login", {"username": "user", "password": password, **more})
    return response.status_code, response.get("Location", ""), response.content.decode()


def test_the_right_password_opens_the_page_that_was_wanted(tmp_path: Path) -> None:
    rows.account("user", tmp_path)
    client = Client()
    assert client.get("/report/?state=failed")["Location"].endswith(
        "next=/report/%3Fstate%3Dfailed"
    )
    status, location, _ = log_in(client, rows.PASSWORD, next="/report/?state=failed")
    assert (status, location) == (302, "/report/?state=failed")
    assert client.get("/report/").status_code == 200


def test_a_part_of_a_page_is_not_the_form_but_the_wish_to_load_anew() -> None:
    answer = Client().get("/report/", headers={"HX-Request": "true", "HX-Target": "runs"})
    assert (answer.status_code, answer["HX-Refresh"], answer.content) == (401, "true", b"")


def test_a_wrong_password_is_answered_in_words(tmp_path: Path) -> None:
    rows.account("user", tmp_path)
    status, _, text = log_in(Client(), "wrong")
    assert status == 403
    assert 'role="alert"' in text
    assert "do not match an account" in text
    assert 'value="user"' in text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_log_in_leads_nowhere_else(target: str, tmp_path: Path) -> None:
    rows.account("user", tmp_path)
    assert log_in(Client(), rows.PASSWORD, next=target)[1] == "/"


def test_whoever_tries_passwords_has_to_wait(tmp_path: Path) -> None:
    rows.account("user", tmp_path)
    client = Client()
    tried = [log_in(client, f"guess {n}")[0] for n in range(FAILURES_FOR_A_NAME)]
    assert set(tried) == {403}
    status, _, text = log_in(client, rows.PASSWORD)
    assert status == 429
    assert "Wait five minutes" in text
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert log_in(elsewhere, rows.PASSWORD)[0] == 302


def test_only_a_post_logs_out(user: Client) -> None:
    assert user.get("/users/logout").status_code == 200
    assert user.get("/report/").status_code == 200
    assert user.post("/users/logout")["Location"] == "/users/login"
    assert user.get("/report/").status_code == 302


def test_forms_need_their_token(tmp_path: Path) -> None:
    rows.account("user", tmp_path)
    assert log_in(Client(enforce_csrf_checks=True), rows.PASSWORD)[0] == 403


def test_an_account_is_changed_by_the_same_command(tmp_path: Path) -> None:
    rows.account("admin", tmp_path)
    file = tmp_path / "other"
    file.write_text("another long password\n")
    call_command("create_account", "admin", role="uploads", password_file=file, verbosity=0)
    user = User.objects.get(username="admin")
    assert user.check_password("another long password")
    assert not user.is_staff and not user.is_superuser
    assert [group.name for group in user.groups.all()] == ["uploads"]


def test_an_empty_password_makes_no_account(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text("\n")
    with pytest.raises(CommandError, match="empty"):
        call_command("create_account", "x", role="user", password_file=file)
    assert not User.objects.filter(username="x").exists()
