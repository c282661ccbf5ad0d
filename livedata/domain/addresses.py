"""Numbers in addresses."""

_LARGEST = 2**63 - 1


def number(digits: str) -> int | None:
    """The number that the digits of an address mean, if the database can hold it."""
    short = digits.lstrip("0") or "0"
    if len(short) > 19 or not (short.isascii() and short.isdigit()):
        return None
    return int(short) if int(short) <= _LARGEST else None
