"""Asks for a step of many runs at once, and pauses, resumes, cancels or retries such a batch."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflow_manager import batches, selectors
from workflow_manager.batches import EVERYTHING
from workflow_manager.domain.states import RunState
from workflow_manager.domain.steps import Step
from workflow_manager.management.operator import own_name
from workflow_manager.models import Batch
from workflow_manager.selectors import RunFilter
from workflow_manager.services import RequestRefusedError


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--by", default=own_name(), help="who asks (%(default)s); histories show it"
        )
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="the newest batches and how far they are")
        _add_request(verbs.add_parser("request", help="one step of all runs that match"))
        for verb, words in _VERBS.items():
            verbs.add_parser(verb, help=words).add_argument("batch", type=int)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            self.stdout.write(_ANSWERS[options["verb"]](options))
        except RequestRefusedError as error:
            raise CommandError(str(error)) from error
        except Batch.DoesNotExist as error:
            raise CommandError(f"There is no batch {options['batch']}.") from error


_VERBS = {
    "pause": "let no more of its jobs go",
    "resume": "let its jobs go again",
    "cancel": "take back what still waits",
    "retry": "ask again for what failed",
}


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", choices=[*Step, EVERYTHING])
    parser.add_argument("--instrument", default="")
    parser.add_argument("--proposal", default="")
    parser.add_argument("--state", type=RunState, choices=list(RunState))
    parser.add_argument("--reason", default="", help="why; the run's page shows it")
    parser.add_argument("--dry-run", action="store_true", help="only tell how many runs match")


def _request(options: dict[str, Any]) -> str:
    wanted = RunFilter(options["instrument"], options["state"], options["proposal"])
    if wanted == RunFilter():
        raise CommandError("Say which runs: --instrument, --proposal or --state.")
    if options["dry_run"]:
        count = len(selectors.run_ids(wanted, limit=batches.LARGEST + 1))
        return f"{min(count, batches.LARGEST):,}{'+' * (count > batches.LARGEST)} runs match."
    step = None if options["step"] == EVERYTHING else Step(options["step"])
    began = time.perf_counter()
    batch = batches.request_step_of_many(wanted, step, by=options["by"], reason=options["reason"])
    took = time.perf_counter() - began
    return f"Batch {batch.id}: {batch.step} of {batch.runs:,} runs, asked for in {took:.2f} s."


def _list(_options: dict[str, Any]) -> str:
    found = batches.latest(limit=20)
    progress = batches.progress([batch.id for batch in found])
    lines = [_line(batch, progress[batch.id]) for batch in found]
    return "\n".join(lines) or "There is no batch."


def _line(batch: Batch, progress: batches.Progress) -> str:
    return (
        f"{batch.id}: {batch.step} of {batch.description}, by {batch.requested_by}, {batch.state}:"
        f" {progress.held:,} wait here, {progress.sent:,} sent, {progress.running:,} running,"
        f" {progress.done:,} done, {progress.failed:,} failed, {progress.skipped:,} skipped,"
        f" {progress.cancelled:,} cancelled"
    )


def _known(options: dict[str, Any]) -> Batch:
    return Batch.objects.get(id=options["batch"])


def _pause(options: dict[str, Any]) -> str:
    batch = _known(options)
    if not batches.pause(batch.id, options["by"]):
        raise CommandError(f"Batch {batch.id} is {batch.state}; only a running one can be paused.")
    return f"Batch {batch.id} is paused; what agents have goes on."


def _resume(options: dict[str, Any]) -> str:
    batch = _known(options)
    if not batches.resume(batch.id, options["by"]):
        raise CommandError(f"Batch {batch.id} is {batch.state}; only a paused one can be resumed.")
    return f"Batch {batch.id} goes on."


def _cancel(options: dict[str, Any]) -> str:
    batch = _known(options)
    return f"{batches.cancel(batch.id, options['by']):,} jobs of batch {batch.id} were taken back."


def _retry(options: dict[str, Any]) -> str:
    batch = batches.retry_failed(options["batch"], options["by"])
    return f"Batch {batch.id}: {batch.runs:,} runs again."


_ANSWERS = {
    "list": _list,
    "request": _request,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
}
