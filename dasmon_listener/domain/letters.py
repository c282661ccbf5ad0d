"""What a notification says, in each of the forms in which it is sent.

A letter has the facts; the forms are a subject and a text for e-mail, and JSON for webhooks. What
comes from instruments is text of strangers: no form lets it be markup.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

RAISED, ESCALATED, OVER, TEST, MANY = "raised", "escalated", "over", "test", "many"
_SUBJECTS = {
    RAISED: "New alert on {}",
    ESCALATED: "Unacknowledged alert on {}",
    OVER: "Alert over on {}",
}
_TEST_SUBJECT = "Test of notifications"
_TEST_TEXT = "This is a test that you asked for. There is no alarm."
# Slack takes no longer text in one block, and Teams no larger message.
_LONGEST_TEXT = 2900
_SLACK_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Others:
    """Alarms of one instrument that got no letter each; `needing` are those that wait now."""

    instrument: str
    count: int
    needing: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification. Times are shown in the facility's zone, or in UTC where programs read.

    `number` is the same when a try is repeated, so that whoever receives it can tell. A test has
    neither instrument nor alarm; nor has a letter that tells of many at once, `others`.
    """

    number: int
    cause: str
    zone: ZoneInfo
    written_at: datetime
    instrument: str = ""
    alarm: str = ""
    level: str = ""
    source: str = ""
    message: str = ""
    guidance: str = ""
    raised_at: datetime | None = None
    over_at: datetime | None = None
    link: str = field(default="")
    others: tuple[Others, ...] = ()

    @property
    def subject(self) -> str:
        """One line."""
        if self.cause == TEST:
            return _TEST_SUBJECT
        if self.cause == MANY:
            names = ", ".join(each.instrument.upper() for each in self.others)
            return " ".join(f"Many more alerts on {names}".split())
        return " ".join(_SUBJECTS[self.cause].format(self.instrument.upper()).split())

    @property
    def text(self) -> str:
        """Several lines, the first of which says what is the matter."""
        lines = [self.headline, *(f"{name}: {value}" for name, value in self.facts)]
        if self.guidance:
            lines += ["", "What to do:", self.guidance]
        if self.link:
            lines += ["", self.link]
        return "\n".join(lines) + "\n"

    @property
    def headline(self) -> str:
        if self.cause == TEST:
            return _TEST_TEXT
        if self.cause == MANY:
            count, needing = (
                sum(numbers)
                for numbers in ([o.count for o in self.others], [o.needing for o in self.others])
            )
            return (
                f"{count} more {'alarm' if count == 1 else 'alarms'}, too many at once for a "
                f"letter each; {needing} of them still open and not acknowledged."
            )
        return " ".join(f"{self.instrument.upper()}: {self.alarm} ({self._state})".split())

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is known, with its names; one line each, so that none can pretend to be another."""
        known = [
            ("Level", self.level),
            ("Message", self.message),
            ("Reported by", self.source),
            ("Raised", self._shown(self.raised_at)),
            ("Over", self._shown(self.over_at)),
            *(
                (each.instrument.upper(), f"{each.count}, of which {each.needing} are waiting")
                for each in self.others
            ),
        ]
        return [(name, " ".join(value.split())) for name, value in known if value]

    @property
    def _state(self) -> str:
        if self.cause == ESCALATED:
            return "nobody has acknowledged it"
        if self.over_at is not None:
            return "over"
        return self.level

    def _shown(self, at: datetime | None) -> str:
        return "" if at is None else at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def generic(letter: Letter) -> dict[str, Any]:
    """The form of our own webhook, which `docs/notifications.md` describes."""
    return {
        "version": 1,
        "id": letter.number,
        "cause": letter.cause,
        "subject": letter.subject,
        "text": letter.text,
        "instrument": letter.instrument,
        "alarm": letter.alarm,
        "level": letter.level,
        "source": letter.source,
        "message": letter.message,
        "guidance": letter.guidance,
        "raised_at": _iso(letter.raised_at),
        "over_at": _iso(letter.over_at),
        "sent_at": _iso(letter.written_at),
        "link": letter.link,
    }


def slack(letter: Letter) -> dict[str, Any]:
    """An incoming webhook of Slack: plain text only, so that nothing in it can call a channel."""
    body = letter.text.partition("\n")[2].strip() or letter.headline
    return {
        "text": _cut(f"{letter.subject}: {letter.headline}").translate(_SLACK_ENTITIES),
        "blocks": [
            _slack_text("header", letter.subject[:150]),
            _slack_text("section", _cut(letter.headline)),
            _slack_text("section", _cut(body)),
        ],
    }


def teams(letter: Letter) -> dict[str, Any]:
    """A workflow of Microsoft Teams that posts an adaptive card.

    Text runs, other than text blocks, are not read as Markdown.
    """
    facts = [f"{name}: {value}" for name, value in letter.facts]
    lines = [letter.headline, *facts, letter.guidance]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _teams_text(letter.subject, weight="Bolder", size="Medium"),
            *(_teams_text(_cut(line)) for line in lines if line),
        ],
    }
    if letter.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": letter.link}]
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _slack_text(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "text": {"type": "plain_text", "text": text, "emoji": False}}


def _teams_text(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _cut(text: str) -> str:
    """As much as a chat shows; the whole is on the page of the alarm."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]} … (the rest is on the page of alarms)"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
