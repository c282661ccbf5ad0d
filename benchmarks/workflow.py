"""The bars of the workflow, each measured in a facility of its own: database, broker, manager.

A new bar is a function here, in BARS; what it measures is a module of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import backlog, dispatch, events, fairness, flatness
from benchmarks.plant import Plant, bare_plant
from benchmarks.result import Result
from demo.endpoints import BrokerEndpoint
from tests.activemq import ActiveMQ
from tests.artemis import Artemis
from tests.broker_process import BrokerProcess

BROKERS = ("embedded", "activemq", "artemis")
_JAVA: Mapping[str, Callable[[Path], BrokerProcess]] = {"activemq": ActiveMQ, "artemis": Artemis}


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is measured: runs of P2, messages of the backlog, most runs in the tables."""

    runs: int = 5_000
    backlog: int = 100_000
    table: int = 2_000_000
    prompt: int = 300


Bar = Callable[[Plant, Amounts, str], Sequence[Result]]

BARS: Mapping[str, Bar] = {
    "P2a": lambda plant, amounts, name: [events.dispatch(plant, amounts.runs, name)],
    "P2b": lambda plant, amounts, name: [events.chain(plant, amounts.runs, name)],
    "P3": lambda plant, amounts, name: dispatch.measure(plant, amounts.prompt, name),
    "P11": lambda plant, _, name: fairness.measure(plant, name),
    "P12": lambda plant, amounts, name: [backlog.measure(plant, amounts.backlog, name)],
    "flat": lambda plant, amounts, name: flatness.measure(plant, amounts.table, name),
}


def measure(bars: Sequence[str], brokers: Sequence[str], amounts: Amounts) -> Iterator[Result]:
    """Each bar on each broker, as they come; nothing of one is left when the next begins."""
    for bar in bars:
        for name in brokers:
            with running_broker(name) as endpoint, bare_plant(endpoint) as plant:
                yield from BARS[bar](plant, amounts, name)


@contextmanager
def running_broker(name: str) -> Iterator[BrokerEndpoint | None]:
    """A broker of that name, started for this; none where the demo brings its own."""
    if name == "embedded":
        yield None
        return
    with TemporaryDirectory() as folder, _JAVA[name](Path(folder)) as process:
        yield BrokerEndpoint(*process.address, process.user, process.password)
