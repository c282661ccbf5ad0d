"""The queues that the site added to those of the workflow.

list                          the queues of the site, and what the broker refuses
add NAME [--not-read]         have the workflow manager read it, within seconds
remove NAME                   stop reading it; what waits in it stays in the broker
"""

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflow_manager import queues
from workflow_manager.models import Queue


class Command(BaseCommand):
    help = __doc__

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The description has lines of its own.
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        wanted = actions.add_parser("list", help="the queues of the site")
        wanted.add_argument("--json", action="store_true", help="for scripts")
        wanted = actions.add_parser("add", help="have the workflow manager read a queue")
        wanted.add_argument("name")
        wanted.add_argument(
            "--not-read", action="store_true", help="only a name that routes may use"
        )
        wanted = actions.add_parser("remove", help="stop reading a queue")
        wanted.add_argument("name")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        actions: Mapping[str, Callable[..., None]] = {
            "list": self._list,
            "add": self._add,
            "remove": self._remove,
        }
        try:
            actions[action](**options)
        except queues.RoutingError as error:
            raise CommandError(str(error)) from error

    def _add(self, name: str, *, not_read: bool, **_options: Any) -> None:
        queue = queues.add(name, is_workflow_input=not not_read)
        end = "is known" if not_read else "is read from now on, where the broker permits it"
        self.stdout.write(f"{queue} {end}.")

    def _remove(self, name: str, **_options: Any) -> None:
        queues.remove(name)
        self.stdout.write(f"{name} is not read any more; what waits in it stays in the broker.")

    def _list(self, **options: Any) -> None:
        found = list(Queue.objects.all())
        refused = queues.refused()
        if options["json"]:
            rows = [
                {"name": queue.name, "is_workflow_input": queue.is_workflow_input}
                for queue in found
            ]
            self.stdout.write(json.dumps({"queues": rows, "refused": refused}, indent=2))
            return
        for queue in found:
            self.stdout.write(f"{queue}  {'read' if queue.is_workflow_input else 'not read'}")
        if not found:
            self.stdout.write("The site added no queues; the built-in ones are always read.")
        for destination, reason in refused.items():
            self.stdout.write(f"Not granted: {destination}: {reason}")
