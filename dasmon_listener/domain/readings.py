"""A value as it is kept: a number, a text, or a number with the text that it came as."""

from functools import lru_cache

# From here on PostgreSQL writes an exponent, Python ten times later.
_EXPONENT_FROM = 1e15


def canonical(number: float) -> str:
    """The number as PostgreSQL writes a `float8`: the shortest text that means it."""
    if number != number:  # noqa: PLR0124  (only NaN differs from itself)
        return "NaN"
    magnitude = abs(number)
    if magnitude < _EXPONENT_FROM:
        text = repr(number)
        return text.removesuffix(".0")
    if magnitude == float("inf"):
        return "Infinity" if number > 0 else "-Infinity"
    mantissa, _, exponent = f"{number!r}".partition("e")
    if exponent:
        return f"{mantissa}e{exponent}"
    digits = mantissa.removesuffix(".0")
    sign, digits = ("-", digits[1:]) if number < 0 else ("", digits)
    kept = digits.rstrip("0")
    point = f".{kept[1:]}" if len(kept) > 1 else ""
    return f"{sign}{kept[0]}{point}e+{len(digits) - 1}"


def read(came: str | None) -> tuple[str | None, str | None]:
    """The number in PostgreSQL's words, and the text where the number does not say all.

    What Python alone takes for a number (`1_000`, other scripts' digits) is a text.
    """
    if came is None:
        return None, None
    return _remembered(came) if len(came) <= _LONGEST_REMEMBERED else _parsed(came)


def _parsed(came: str) -> tuple[str | None, str | None]:
    try:
        number = float(came)
    except ValueError:
        return None, came
    if "_" in came or not came.isascii():
        return None, came
    written = canonical(number)
    return written, (None if written == came else came)


# Many values are the same again and again; each is read twice, for the history and as the newest.
# A batch has about so many different ones. An entry weighs 250 bytes: more would cost memory only.
_remembered = lru_cache(maxsize=10_000)(_parsed)
_LONGEST_REMEMBERED = 40
