"""Prints `what / ours / limit / share / lost` for one bar, measured here and now."""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import pages, workflow
from benchmarks.result import Result, table
from demo.endpoints import BrokerEndpoint
from tests.activemq import ActiveMQ


def main() -> int:
    options = _options()
    if options.name == "pages":
        results = pages.measure(options.runs or 100_000)
    else:
        results = _workflow(options.runs or 5_000, options.broker)
    print(table(results))
    if options.json:
        content = json.dumps([result.as_json() for result in results], indent=2)
        options.json.write_text(content + "\n", encoding="utf-8")
    return 0 if all(result.is_met for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("name", choices=["workflow", "pages"])
    parser.add_argument(
        "--runs", type=int, help="how many runs are sent (5000), or in the database (100000)"
    )
    parser.add_argument(
        "--broker",
        choices=["embedded", "activemq", "both"],
        default="both",
        help="activemq is Debian's package, started for the measurement",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


def _workflow(runs: int, broker: str) -> list[Result]:
    results = []
    if broker in ("embedded", "both"):
        results.append(workflow.measure(runs, None, "embedded broker"))
    if broker in ("activemq", "both"):
        with TemporaryDirectory() as folder, ActiveMQ(Path(folder)) as activemq:
            endpoint = BrokerEndpoint(*activemq.address, activemq.user, activemq.password)
            results.append(workflow.measure(runs, endpoint, "ActiveMQ"))
    return results


if __name__ == "__main__":
    sys.exit(main())
