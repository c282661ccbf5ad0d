"""P12: a backlog that waits in the broker before the manager starts drains as fast as P2 (a)."""

from benchmarks.events import dispatch_rate
from benchmarks.plant import Plant
from benchmarks.result import Result

BACKLOG_BAR = 0.8  # of the rate of P2 (a)
_COMPARED = 5_000


def measure(plant: Plant, backlog: int, broker_name: str) -> Result:
    """The rate of `backlog` messages beside that of five thousand, in the same database.

    The five thousand go before and after, and the mean counts: the first ones meet a broker and
    a database that have not worked yet.
    """
    before, lost_before = dispatch_rate(plant, first=1, runs=_COMPARED)
    rate, lost = dispatch_rate(plant, first=1 + _COMPARED, runs=backlog)
    after, lost_after = dispatch_rate(plant, first=1 + _COMPARED + backlog, runs=_COMPARED)
    normal = (before + after) / 2
    return Result(
        bar="P12",
        what=f"backlog of {backlog:,} DATA_READY ({broker_name}; limit: {_COMPARED:,} of them)",
        ours=rate,
        limit=normal,
        unit="runs/s",
        lost=lost + lost_before + lost_after,
        needed=BACKLOG_BAR * normal,
    )
