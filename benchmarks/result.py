"""One measured bar, and how it is shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


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

    @property
    def share(self) -> float:
        return self.ours / self.limit

    @property
    def is_met(self) -> bool:
        return self.lost == 0 and self.ours >= self.needed

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"share": round(self.share, 4), "pass": self.is_met}


def table(results: Sequence[Result]) -> str:
    """The results as text, one line each."""
    head = ("bar", "what", "ours", "limit", "share", "lost", "")
    rows = [
        (
            result.bar,
            result.what,
            f"{result.ours:,.0f} {result.unit}",
            f"{result.limit:,.0f} {result.unit}",
            f"{result.share:.0%}",
            str(result.lost),
            "" if result.is_met else f"MISSED: {result.needed:,.0f} needed",
        )
        for result in results
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)
