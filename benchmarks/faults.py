"""Runs are sent while a nemesis kills: what is lost, what happens twice, how fast it recovers?

    bin/bench faults --runs 2000 --faults 50 --broker artemis

Killed with SIGKILL, in a random order that the seed repeats: the workflow manager, the agent, the
broker, a backend of PostgreSQL (its server then ends all others and recovers) and the PostgreSQL
server. The embedded broker is spared: it keeps queues in memory and promises to survive a clean
stop only.
"""

import argparse
import json
import logging
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks import audit as audits
from benchmarks import nemesis, storm
from benchmarks.audit import Audit
from benchmarks.nemesis import Blow, BrokerKeeper, Nemesis, Victim
from benchmarks.result import Result, table
from benchmarks.storm import Announcement, Sender
from tests.facility import Facility, running_facility

BROKERS = ("activemq", "artemis", "embedded")
RECOVERY = 30.0  # seconds, the bar
_TAIL = 10.0  # seconds that runs are announced beyond the last fault
_COMPLETE = 600.0  # seconds until everything has to be complete
_SHOWN = 20  # sentences about what is wrong


@dataclass(frozen=True, slots=True)
class Wishes:
    """`gap` is the mean time between two faults in seconds, `repeat` a share of the runs."""

    runs: int = 2_000
    faults: int = 50
    seed: int = 0
    broker: str = "activemq"
    gap: float = 5.0
    repeat: float = 0.0
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times in seconds; `recoveries` belong to `blows`, None where work did not flow again.

    `restart` is how long the last victim was dead, `complete_after` counts from there too.
    """

    wishes: Wishes
    announcements: Sequence[Announcement]
    blows: Sequence[Blow]
    recoveries: Sequence[float | None]
    restart: float
    complete_after: float
    audit: Audit

    @property
    def recovery(self) -> float:
        """After the last fault."""
        last = self.recoveries[-1] if self.recoveries else 0.0
        return float("inf") if last is None else last


def main(arguments: Sequence[str] | None = None) -> int:
    logging.basicConfig(level="WARNING", format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("stomp.py").setLevel(logging.CRITICAL)
    options = _options(arguments)
    content = vars(options)
    file = content.pop("json")
    wishes = Wishes(**content)
    print(f"seed {wishes.seed}", flush=True)
    outcome = run(wishes)
    print(report(outcome))
    results = results_of(outcome)
    print(table(results))
    if file:
        lines = [result.as_json() for result in results]
        file.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.is_met for result in results) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--broker", choices=BROKERS, default="activemq")
    parser.add_argument(
        "--gap", type=float, default=5.0, metavar="S", help="seconds between faults, in mean (5)"
    )
    parser.add_argument(
        "--repeat", type=float, default=0.0, metavar="SHARE", help="of runs announced twice (0)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy all logs there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args(arguments)


def run(wishes: Wishes) -> Outcome:
    """Start a facility, let the storm pass, wait until all is complete, and audit."""
    with running_facility(wishes.broker) as facility, _kept_logs(facility, wishes.keep):
        return endure(facility, wishes)


def endure(facility: Facility, wishes: Wishes) -> Outcome:
    """The storm over a facility that runs, and what it left behind."""
    chance = random.Random(wishes.seed)  # noqa: S311 - it has to be repeatable
    victims = [each for each in Victim if each != Victim.BROKER or facility.broker is not None]
    planned = nemesis.plan(wishes.faults, wishes.gap, victims, chance)
    announcements = storm.manifest(wishes.runs, planned[-1].at + _TAIL, wishes.repeat, chance)
    facility.install(storm.INSTRUMENT, storm.SCRIPT)
    storm.write_files(facility.root, announcements)
    stop = threading.Event()
    hand = Nemesis(facility, chance, stop)
    sender = Sender(facility.endpoints.broker, announcements)
    with BrokerKeeper(facility.broker, stop) if facility.broker else nullcontext():
        sender.start()
        try:
            blows = _strike_all(hand, planned, stop)
            restart = hand.await_successor(blows[-1])
        finally:
            sender.finish(_COMPLETE)
        _wait_until_complete(facility, announcements, stop)
    return Outcome(
        wishes,
        announcements,
        blows,
        [audits.flowing_again(facility, blow.at) for blow in blows],
        restart,
        (datetime.now(UTC) - blows[-1].at).total_seconds(),
        audits.audit(facility, announcements),
    )


def _strike_all(
    hand: Nemesis, planned: Sequence[nemesis.Fault], stop: threading.Event
) -> list[Blow]:
    began = time.monotonic()
    blows = []
    for number, fault in enumerate(planned, start=1):
        stop.wait(max(0.0, began + fault.at - time.monotonic()))
        blow = hand.strike(fault)
        blows.append(blow)
        print(
            f"{number:>3}  {blow.at:%H:%M:%S.%f}  {blow.victim:<18}  {blow.in_flight}", flush=True
        )
    return blows


def _wait_until_complete(
    facility: Facility, announcements: Sequence[Announcement], stop: threading.Event
) -> None:
    """Return when nothing is left to do, or when it takes too long: the audit tells."""
    deadline = time.monotonic() + _COMPLETE
    while time.monotonic() < deadline:
        try:
            is_complete = len(audits.done_runs(facility)) >= len(announcements)
            if is_complete and not facility.query("SELECT id FROM workflow_outbox LIMIT 1"):
                return
        except psycopg.OperationalError:
            logging.getLogger(__name__).info("the database is still away")
        stop.wait(0.2)


def report(outcome: Outcome) -> str:
    """What the faults cost, in lines."""
    lines = [
        f"{number:>3}  {blow.victim:<18}  "
        + ("work did not flow again" if seconds is None else f"work flowed after {seconds:.1f} s")
        for number, (blow, seconds) in enumerate(
            zip(outcome.blows, outcome.recoveries, strict=True), start=1
        )
    ]
    found = outcome.audit
    lines += found.wrong[:_SHOWN]
    lines += [f"({len(found.wrong) - _SHOWN} more)"] if len(found.wrong) > _SHOWN else []
    lines += [
        f"lost {len(found.lost)}, done twice {len(found.doubled)};"
        f" sent again by the system, with a reason: {len(found.resent)};"
        f" announced more than once: {found.repeated}",
        f"everything was complete {outcome.complete_after:.1f} s after the last fault",
    ]
    return "\n".join(lines)


def results_of(outcome: Outcome) -> list[Result]:
    wishes, found = outcome.wishes, outcome.audit
    return [
        Result(
            bar="faults",
            what=f"work flows again after the last of {wishes.faults} kills in {wishes.runs:,} runs"
            f" ({wishes.broker}, seed {wishes.seed}; limit: until its successor lived)",
            ours=outcome.recovery,
            limit=outcome.restart,
            unit="s",
            lost=len(found.wrong),
            needed=RECOVERY,
            is_better="lower",
        )
    ]


@contextmanager
def _kept_logs(facility: Facility, folder: Path | None) -> Iterator[None]:
    try:
        yield
    finally:
        if folder is not None:
            shutil.copytree(facility.supervisor.logs, folder, dirs_exist_ok=True)
            agent = facility.root.parent / "agent" / "agent.log"
            others = [agent] + ([facility.broker.log_file] if facility.broker else [])
            for file in others:
                if file.exists():
                    shutil.copy(file, folder)


if __name__ == "__main__":
    sys.exit(main())
