"""What a notification says in each form."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dasmon_listener.domain import letters
from dasmon_listener.domain.letters import Letter

AT = datetime(2026, 11, 19, 15, tzinfo=UTC)
HOSTILE = "<!channel> *bold* [x](https://evil.example) & <b>\r\nBcc: all@example.org"


def letter(cause: str = letters.RAISED, *, is_over: bool = False, **changes: str) -> Letter:
    values: dict[str, Any] = {
        "instrument": "arcs",
        "alarm": "chopper 1",
        "level": "error",
        "source": "SNS_DASMON",
        "message": "Chopper 1 is out of phase",
        "link": "https://webmon.example.org/alarms/",
    }
    return Letter(
        number=12,
        cause=cause,
        zone=ZoneInfo("America/New_York"),
        written_at=AT,
        raised_at=AT,
        over_at=AT if is_over else None,
        **(values | changes),
    )


@pytest.mark.parametrize(
    ("cause", "subject"),
    [
        (letters.RAISED, "New alert on ARCS"),
        (letters.ESCALATED, "Unacknowledged alert on ARCS"),
        (letters.OVER, "Alert over on ARCS"),
        (letters.TEST, "Test of notifications"),
    ],
)
def test_subjects(cause: str, subject: str) -> None:
    assert letter(cause).subject == subject


def test_a_subject_is_one_line() -> None:
    shown = letter(instrument="arcs\r\nBcc: all@example.org").subject
    assert shown == "New alert on ARCS BCC: ALL@EXAMPLE.ORG"


def test_an_email_says_what_when_and_what_to_do() -> None:
    assert letter(guidance="Call the hall coordinator.").text == (
        "ARCS: chopper 1 (error)\n"
        "Level: error\n"
        "Message: Chopper 1 is out of phase\n"
        "Reported by: SNS_DASMON\n"
        "Raised: 2026-11-19 10:00:00 EST\n"
        "\nWhat to do:\nCall the hall coordinator.\n"
        "\nhttps://webmon.example.org/alarms/\n"
    )
    assert letter(letters.OVER, is_over=True).text.startswith("ARCS: chopper 1 (over)\n")
    assert "nobody has acknowledged it" in letter(letters.ESCALATED).headline


def test_no_text_of_strangers_pretends_to_be_a_line_of_ours() -> None:
    shown = letter(alarm="x\nLevel: info", message="y\r\nRaised: never").text.splitlines()
    assert shown[0] == "ARCS: x Level: info (error)"
    assert "Message: y Raised: never" in shown


def test_a_test_names_no_alarm() -> None:
    test = Letter(3, letters.TEST, ZoneInfo("UTC"), AT)
    assert test.text == "This is a test that you asked for. There is no alarm.\n"
    assert letters.generic(test)["cause"] == "test"
    assert letters.slack(test)["blocks"] and letters.teams(test)["attachments"]


def test_the_generic_form() -> None:
    assert letters.generic(letter()) == {
        "version": 1,
        "id": 12,
        "cause": "raised",
        "subject": "New alert on ARCS",
        "text": letter().text,
        "instrument": "arcs",
        "alarm": "chopper 1",
        "level": "error",
        "source": "SNS_DASMON",
        "message": "Chopper 1 is out of phase",
        "guidance": "",
        "raised_at": "2026-11-19T15:00:00+00:00",
        "over_at": None,
        "sent_at": "2026-11-19T15:00:00+00:00",
        "link": "https://webmon.example.org/alarms/",
    }


def test_nothing_in_slack_is_markup() -> None:
    shown = letters.slack(letter(alarm=HOSTILE, message=HOSTILE))
    assert "<" not in shown["text"] and "&lt;!channel&gt;" in shown["text"]
    assert [block["text"]["type"] for block in shown["blocks"]] == ["plain_text"] * 3
    assert "<!channel> *bold*" in shown["blocks"][2]["text"]["text"]


def test_nothing_in_teams_is_markup() -> None:
    [attachment] = letters.teams(letter(alarm=HOSTILE, message=HOSTILE))["attachments"]
    card = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert card["actions"][0]["url"] == "https://webmon.example.org/alarms/"


def test_chats_take_only_so_much() -> None:
    shown = letters.slack(letter(message="x" * 100_000))
    assert all(len(block["text"]["text"]) <= 3000 for block in shown["blocks"])
    assert "the rest is on the page" in shown["blocks"][2]["text"]["text"]
    assert len(json.dumps(letters.teams(letter(message="x" * 100_000, guidance="y" * 100_000)))) < (
        28_000
    )


def test_a_letter_of_many_says_how_many_where() -> None:
    many = Letter(
        number=13,
        cause=letters.MANY,
        zone=ZoneInfo("America/New_York"),
        written_at=AT,
        link="https://webmon.example.org/alarms/",
        others=(letters.Others("arcs", 9000, 12), letters.Others("seq\r\nBcc: x", 1, 0)),
    )
    assert many.subject == "Many more alerts on ARCS, SEQ BCC: X"
    assert many.headline.startswith("9001 more alarms, too many at once for a letter each; 12 of")
    assert "ARCS: 9000, of which 12 are waiting" in many.text
    for form in (letters.generic, letters.slack, letters.teams):
        assert "9001 more alarms" in json.dumps(form(many))
