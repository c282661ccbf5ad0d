"""Prints `what / ours / limit / share / lost` for bars, measured here and now.

bin/bench workflow                          all bars of the workflow on all brokers
bin/bench workflow --bar P2a,P3 --broker activemq
bin/bench faults --help                     runs while everything is killed in random order
bin/bench pages --runs 1000000
bin/bench dasmon --minutes 10               status values; memory from three minutes on
bin/bench pv --part zoom                    PVs: functions, series, a year zoomed in a browser
bin/bench demo                              how soon it answers, and what it weighs
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import (
    dasmon,
    faults,
    first_light,
    pages,
    pv_functions,
    pv_series,
    pv_zoom,
    workflow,
)
from benchmarks.plant import bare_plant
from benchmarks.result import Result, table
from benchmarks.workflow import BARS, BROKERS, Amounts, running_broker

PV_PARTS: Mapping[str, Callable[[], Sequence[Result]]] = {
    "functions": pv_functions.measure,
    "series": pv_series.measure,
    "zoom": pv_zoom.measure,
}


def main() -> int:
    if sys.argv[1:2] == ["faults"]:
        return faults.main(sys.argv[2:])
    logging.getLogger("stomp.py").setLevel(logging.CRITICAL)
    options = _options()
    results = options.measure(options)
    print(table(results))
    if options.json:
        content = json.dumps([result.as_json() for result in results], indent=2)
        options.json.write_text(content + "\n", encoding="utf-8")
    return 0 if all(result.is_met for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(title="what", required=True)
    kinds.add_parser("faults", add_help=False, help="the nemesis")
    _add_workflow(kinds.add_parser("workflow", help="P2, P3, P12 and flatness"))
    _add_dasmon(kinds.add_parser("dasmon", help="P1"))
    pages_parser = kinds.add_parser("pages", help="P6")
    pages_parser.add_argument("--runs", type=int, default=100_000, help="in the database (100000)")
    pages_parser.set_defaults(measure=lambda options: pages.measure(options.runs))
    _add_pv(kinds.add_parser("pv", help="P8 and P9"))
    kinds.add_parser("demo", help="first light of P12").set_defaults(
        measure=lambda _: first_light.measure()
    )
    for each in kinds.choices.values():
        each.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


def _add_workflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bar", type=_bars, default=list(BARS), metavar="A,B", help=f"of {', '.join(BARS)} (all)"
    )
    parser.add_argument(
        "--broker",
        choices=[*BROKERS, "all"],
        default="all",
        help="activemq is Debian's package, artemis what python3 -m tests.artemis fetched;"
        " both are started for the measurement",
    )
    default = Amounts()
    parser.add_argument("--runs", type=int, default=default.runs, help="runs of P2 (5000)")
    parser.add_argument(
        "--backlog", type=int, default=default.backlog, help="messages of P12 (100000)"
    )
    parser.add_argument(
        "--table", type=int, default=default.table, help="most runs in the tables, flat (2000000)"
    )
    parser.add_argument("--prompt", type=int, default=default.prompt, help="runs of P3 (300)")
    parser.set_defaults(measure=_workflow)


def _add_dasmon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", choices=BROKERS, default="activemq")
    parser.add_argument("--rate", type=float, default=32_000, help="values sent a second (32000)")
    parser.add_argument("--minutes", type=float, default=1, help="how long (1)")
    parser.set_defaults(measure=_dasmon)


def _dasmon(options: argparse.Namespace) -> list[Result]:
    with running_broker(options.broker) as endpoint, bare_plant(endpoint) as plant:
        return dasmon.measure(plant, options.broker, options.rate, 60 * options.minutes)


def _add_pv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", choices=[*PV_PARTS, "all"], default="all")
    parser.set_defaults(measure=_pv)


def _pv(options: argparse.Namespace) -> list[Result]:
    wanted = PV_PARTS if options.part == "all" else (options.part,)
    return [result for part in wanted for result in PV_PARTS[part]()]


def _bars(text: str) -> Sequence[str]:
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in BARS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(BARS)}")
    return wanted


def _workflow(options: argparse.Namespace) -> list[Result]:
    brokers = BROKERS if options.broker == "all" else (options.broker,)
    amounts = Amounts(options.runs, options.backlog, options.table, options.prompt)
    results = []
    for result in workflow.measure(options.bar, brokers, amounts):
        results.append(result)
        print(f"measured: {result.bar}, {result.what}", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
