"""Numbers as people read them."""

import math


def words(value: float | None, *, digits: int = 6) -> str:
    """As in `90,210.4`; whole numbers whole, as in `123,456,789`; None is empty."""
    if value is None:
        return ""
    if math.isfinite(value) and abs(value) < 1e15:
        value = round(value) if abs(value) >= 10 ** (digits - 1) else value
        if value == int(value):
            return f"{int(value):,}"
    return f"{value:,.{digits}g}"


def size(count: float) -> str:
    """Bytes, as in `1.5 GB`: in thousands, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{words(count, digits=3)} TB"
