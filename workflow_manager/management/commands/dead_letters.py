"""Lists messages that could not be handled, shows one, replays or discards it.

dead_letters list [--all] [--destination NAME] [--json]
dead_letters show 17
dead_letters replay 17 [--body FILE] [--again]
dead_letters replay-like 17
dead_letters discard 17 --reason "why"
"""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow_manager import dead_letters, selectors
from workflow_manager.management.operator import own_name
from workflow_manager.models import RejectedMessage

_LONGEST_LIST = 100_000


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        listed = deeds.add_parser("list", help="open messages, newest first")
        listed.add_argument("--all", action="store_true", help="also those that are settled")
        listed.add_argument("--destination", default="", help="only of this queue or topic")
        listed.add_argument("--limit", type=int, default=100, help="at most so many (default: 100)")
        listed.add_argument("--json", action="store_true", help="one JSON object a line")
        deeds.add_parser("show", help="headers, reason and body of one").add_argument(
            "id", type=int
        )
        replayed = _settling(deeds.add_parser("replay", help="handle it as if it arrived now"))
        replayed.add_argument("--body", type=Path, help="a file with the corrected body")
        replayed.add_argument("--again", action="store_true", help="also if it is settled")
        _settling(deeds.add_parser("replay-like", help="replay all that are bad in the same way"))
        discarded = _settling(deeds.add_parser("discard", help="nothing is to be done about it"))
        discarded.add_argument("--reason", default="", help="why; others will want to know")

    def handle(self, *_args: Any, deed: str, **options: Any) -> None:
        try:
            getattr(self, f"_{deed.replace('-', '_')}")(**options)
        except dead_letters.DeadLetterError as error:
            raise CommandError(str(error)) from error

    def _list(self, **options: Any) -> None:
        found = selectors.rejected_messages(
            limit=min(max(options["limit"], 1), _LONGEST_LIST),
            outcome=None if options["all"] else RejectedMessage.Outcome.OPEN,
            destination=options["destination"],
        )
        for message in found:
            self.stdout.write(json.dumps(_facts(message)) if options["json"] else _line(message))
        if not found and not options["json"]:
            self.stdout.write("There are no such messages.")

    def _show(self, **options: Any) -> None:
        message = _message(options["id"])
        for name, value in _facts(message).items():
            self.stdout.write(f"{name + ':':<15}{_plain(str(value))}")
        for name, value in message.headers.items():
            self.stdout.write(f"    {_plain(name)}: {_plain(str(value))}")
        self.stdout.write("")
        self.stdout.write(_readable(bytes(message.body)))

    def _replay(self, **options: Any) -> None:
        body = _bytes_of(options["body"]) if options["body"] else None
        message = _message(options["id"])
        result = dead_letters.replay(message, options["by"], body=body, again=options["again"])
        self.stdout.write(result.sentence)

    def _replay_like(self, **options: Any) -> None:
        result = dead_letters.replay_like(_message(options["id"]), options["by"])
        self.stdout.write(f"{result.replayed} replayed, {result.still_open} still open.")
        for reason in result.reasons:
            self.stdout.write(f"    {_plain(reason)}")
        if result.still_open:
            raise CommandError("Not all of them can be handled yet.")

    def _discard(self, **options: Any) -> None:
        dead_letters.discard(_message(options["id"]), options["by"], options["reason"])
        self.stdout.write(f"Message {options['id']} is discarded.")


def _settling(parser: CommandParser) -> CommandParser:
    parser.add_argument("id", type=int, help="the message's number, as listed")
    parser.add_argument("--by", default=own_name(), help="who does it (default: you)")
    return parser


def _message(number: int) -> RejectedMessage:
    message = selectors.rejected_message(number) if 0 < number < 2**63 else None
    if message is None:
        raise CommandError(f"There is no rejected message {number}.")
    return message


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _facts(message: RejectedMessage) -> dict[str, Any]:
    settled = message.outcome != RejectedMessage.Outcome.OPEN
    return {
        "id": message.id,
        "destination": message.destination,
        "received": message.received_at.isoformat(timespec="seconds"),
        "reason": message.reason,
        "message": message.message_id,
        "bytes": len(message.body),
        "outcome": message.outcome,
    } | (_settlement(message) if settled else {})


def _settlement(message: RejectedMessage) -> dict[str, str]:
    at = message.outcome_at
    return {
        "by": message.outcome_by,
        "at": at.isoformat(timespec="seconds") if at else "",
        "because": message.outcome_reason,
    }


def _line(message: RejectedMessage) -> str:
    outcome = "" if message.outcome == RejectedMessage.Outcome.OPEN else f" [{message.outcome}]"
    return _plain(
        f"{message.id:>6}  {message.received_at:%Y-%m-%d %H:%M:%S}  {message.destination:.60}"
        f"{outcome}  {message.reason}"
    )


def _readable(body: bytes) -> str:
    """JSON over several lines, other text as it is, bytes that are no text escaped."""
    try:
        text = body.decode("utf-8")
        return _plain(json.dumps(json.loads(text), indent=2, ensure_ascii=False), keep="\n")
    except UnicodeDecodeError:
        return _plain(body.decode("utf-8", "backslashreplace"), keep="\n")
    except (ValueError, RecursionError):
        return _plain(text, keep="\n")


def _plain(text: str, keep: str = "") -> str:
    """Without what would steer the terminal that it is printed on."""
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
