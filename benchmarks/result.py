"""One measured bar, and how it is shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Result:
    """`ours` against `limit`, both in `unit`; a result with losses does not count."""

    bar: str
    what: str
    ours: float
    limit: float
    unit: str
    lost: int
    needed: float
    is_better: Literal["higher", "lower"] = "higher"

    @property
    def share(self) -> float:
        """How near ours comes to the limit; 1 is as near as can be."""
        return self.ours / self.limit if self.is_better == "higher" else self.limit / self.ours

    @property
    def is_met(self) -> bool:
        enough = (
            self.ours >= self.needed if self.is_better == "higher" else self.ours <= self.needed
        )
        return self.lost == 0 and enough

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"share": round(self.share, 4), "pass": self.is_met}


def table(results: Sequence[Result]) -> str:
    """The results as text, one line each."""
    head = ("bar", "what", "ours", "limit", "share", "lost", "")
    rows = [
        (
            result.bar,
            result.what,
            _figure(result.ours, result.unit),
            _figure(result.limit, result.unit),
            f"{result.share:.0%}",
            str(result.lost),
            "" if result.is_met else f"MISSED: {_figure(result.needed, result.unit)} needed",
        )
        for result in results
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
