"""The operator's verbs as programs: what they print, and when they fail."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.integration.workflow_manager.test_dead_letters import DATA_READY, GOOD, kept, rejected
from tests.integration.workflow_manager.test_record import Arrival, take_in
from workflow_manager.models import Event, RejectedMessage

pytestmark = pytest.mark.django_db(transaction=True)


def output_of(*words: str) -> str:
    out = io.StringIO()
    call_command("dead_letters", *words, stdout=out)
    return out.getvalue()


def test_the_list_shows_what_is_open_newest_first() -> None:
    first, second = rejected(run_number="x"), rejected(ipts=7, number="m2")
    output_of("discard", str(first.id), "--reason", "a test")
    assert output_of("list").split()[0] == str(second.id)
    assert "[discarded]" not in output_of("list")
    lines = output_of("list", "--all").splitlines()
    assert [line.split()[0] for line in lines] == [str(second.id), str(first.id)]
    assert "[discarded]" in lines[1]


def test_the_list_as_json_and_of_one_destination() -> None:
    rejected(run_number="x")
    kept("/queue/SITE.THING", b"1")
    [line] = output_of("list", "--json", "--destination", "SITE.THING").splitlines()
    assert json.loads(line)["destination"] == "/queue/SITE.THING"
    assert output_of("list", "--destination", "NO.SUCH") == "There are no such messages.\n"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"run_number":"x"}', '{\n  "run_number": "x"\n}'),
        (b"no JSON", "no JSON"),
        (b"\xff\x1b[2J", "\\xff\\x1b[2J"),
        ('["\u202e\x7f"]'.encode(), "\\u202e\\x7f"),
    ],
)
def test_a_message_is_shown_whole_and_harmless(body: bytes, shown: str) -> None:
    take_in(Arrival(DATA_READY, "m1", body, {"evil\x1b": "\x1b]0;x\x07"}))
    text = output_of("show", str(RejectedMessage.objects.get().id))
    assert shown in text
    assert "evil\\x1b: \\x1b]0;x\\x07" in text
    assert "\x1b" not in text


def test_replay_and_replay_like_tell_what_they_did() -> None:
    rows = [kept(DATA_READY, GOOD, f"k{number}") for number in range(3)]
    assert output_of("replay", str(rows[0].id), "--by", "ann") == (
        f"ARCS 1: {DATA_READY} is recorded.\n"
    )
    assert output_of("replay-like", str(rows[1].id)) == "2 replayed, 0 still open.\n"
    rows[0].refresh_from_db()
    assert rows[0].outcome_by == "ann"


def test_a_corrected_body_comes_from_a_file(tmp_path: Path) -> None:
    row = rejected(run_number="x")
    (tmp_path / "good.json").write_bytes(GOOD)
    output_of("replay", str(row.id), "--body", str(tmp_path / "good.json"))
    assert Event.objects.filter(queue=DATA_READY).count() == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "999999999"], "There is no rejected message 999999999."),
        (["replay", str(2**70)], "There is no rejected message"),
        (["replay", "{id}"], 'run_number is "x"'),
        (["replay", "{id}", "--body", "/no/such/file"], "/no/such/file cannot be read: No such"),
        (["replay-like", "{id}"], "Not all of them can be handled yet."),
        (["discard", "{id}"], "A reason is needed"),
        (["discard", "x", "--reason", "y"], "invalid int value"),
        (["dance"], "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_error(words: list[str], sentence: str) -> None:
    row = rejected(run_number="x")
    with pytest.raises(CommandError, match=sentence.replace(".", r"\.")):
        output_of(*(word.format(id=row.id) for word in words))
