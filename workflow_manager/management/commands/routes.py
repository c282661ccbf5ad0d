"""Where an instrument's runs go, if not where the rules say.

  list [INSTRUMENT]                     the routes there are
  show INSTRUMENT                       what each message of that instrument does
  set INSTRUMENT QUEUE [TARGET ...]     after a message on QUEUE send jobs to the targets;
                                        without targets the run stops there on purpose
  clear INSTRUMENT [QUEUE]              let runs go where the rules say again

With --dry-run, set and clear only tell what would change. With --json scripts can read the answer.
"""

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow_manager import routes
from workflow_manager.management.operator import own_name
from workflow_manager.models import Instrument, Route
from workflow_manager.queues import RoutingError
from workflow_manager.routes import Consequence, Routes


class Command(BaseCommand):
    help = __doc__

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The description has lines of its own.
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        wanted = actions.add_parser("list", help="the routes there are")
        wanted.add_argument("instrument", nargs="?", default="")
        wanted = actions.add_parser("show", help="what each message of an instrument does")
        wanted.add_argument("instrument")
        wanted = actions.add_parser("set", help="send jobs to these targets instead")
        wanted.add_argument("instrument")
        wanted.add_argument("queue", help="what the message arrives on")
        wanted.add_argument("targets", nargs="*", help="queues of agents; none stops the run")
        _add_who(wanted)
        wanted = actions.add_parser("clear", help="go where the rules say again")
        wanted.add_argument("instrument")
        wanted.add_argument("queue", nargs="?", help="only this one")
        _add_who(wanted)
        for each in actions.choices.values():
            each.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        actions: Mapping[str, Callable[..., None]] = {
            "list": self._list,
            "show": self._show,
            "set": self._set,
            "clear": self._clear,
        }
        try:
            actions[action](**options)
        except RoutingError as error:
            raise CommandError(str(error)) from error

    def _list(self, instrument: str, **options: Any) -> None:
        found = Route.objects.select_related("instrument")
        if instrument:
            found = found.filter(instrument=routes.known_instrument(instrument))
        if options["json"]:
            self._write_json([_as_json(route) for route in found])
            return
        for route in found:
            by = f"  ({route.changed_at:%Y-%m-%d} {route.changed_by or 'unknown'})"
            self.stdout.write(f"{route}{by}")
        if not found:
            self.stdout.write("No routes: runs go where the rules say.")

    def _show(self, instrument: str, **options: Any) -> None:
        owner = routes.known_instrument(instrument)
        self._tell(owner, None, is_json=options["json"], is_dry=True)

    def _set(self, instrument: str, queue: str, targets: Sequence[str], **options: Any) -> None:
        wish = routes.validated(instrument, queue, targets)
        self._tell(wish.instrument, wish.routes, is_json=options["json"], is_dry=options["dry_run"])
        if not options["dry_run"]:
            routes.set_route(instrument, queue, targets, by=options["by"])

    def _clear(self, instrument: str, queue: str | None, **options: Any) -> None:
        owner = routes.known_instrument(instrument)
        left = routes.without(owner, queue)
        self._tell(owner, left, is_json=options["json"], is_dry=options["dry_run"])
        if not options["dry_run"]:
            routes.clear_routes(instrument, queue)

    def _tell(
        self, owner: Instrument, proposed: Routes | None, *, is_json: bool, is_dry: bool
    ) -> None:
        """What every message does, before and after."""
        present = routes.routes_of(owner)
        changes = routes.changes(owner, present if proposed is None else proposed)
        if is_json:
            self._write_json(
                {
                    "instrument": owner.name,
                    "jobs_in_flight": owner.jobs_in_flight,
                    "is_dry_run": is_dry,
                    "queues": [_change_as_json(*change) for change in changes],
                }
            )
            return
        if owner.jobs_in_flight is not None:
            self.stdout.write(f"{owner}: at most {owner.jobs_in_flight} jobs at once.")
        for before, after in changes:
            self._tell_one(before, after)
        if proposed is not None and is_dry:
            self.stdout.write("Nothing was changed.")

    def _tell_one(self, before: Consequence, after: Consequence) -> None:
        if before == after:
            self.stdout.write(f"{after.queue}: {after.sentence}.")
            return
        self.stdout.write(f"{after.queue}:")
        self.stdout.write(f"    before: {before.sentence}.")
        self.stdout.write(f"    after:  {after.sentence}.")

    def _write_json(self, content: object) -> None:
        self.stdout.write(json.dumps(content, indent=2))


def _add_who(parser: Any) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing, only tell")
    parser.add_argument("--by", default=own_name(), help="who wants it (default: you)")


def _as_json(route: Route) -> dict[str, Any]:
    return {
        "instrument": route.instrument.name,
        "queue": route.queue,
        "targets": route.targets,
        "changed_by": route.changed_by,
        "changed_at": route.changed_at.isoformat(),
    }


def _change_as_json(before: Consequence, after: Consequence) -> dict[str, Any]:
    return {
        "queue": after.queue,
        "before": _consequence_as_json(before),
        "after": _consequence_as_json(after),
    }


def _consequence_as_json(consequence: Consequence) -> dict[str, Any]:
    return {
        "sent": consequence.sent,
        "left_out": consequence.left_out,
        "is_stopped": consequence.is_stopped,
        "sentence": consequence.sentence,
    }
