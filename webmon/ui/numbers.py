"""Numbers as people read them."""

import math


def words(value: float | None) -> str:
    """Six digits, as in `90,210.4`; whole numbers whole, as in `123,456,789`; empty for None."""
    if value is None:
        return ""
    if math.isfinite(value) and abs(value) < 1e15 and value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6g}"
