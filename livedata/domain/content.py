"""What an uploaded text is, and whether it may be stored."""

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

JSON = 0
HTML = 1
_LARGEST_TYPE = 2**31 - 1


class ContentError(ValueError):
    """The upload cannot be stored; the text is one sentence for its author."""


def decoded(content: bytes) -> str:
    """The text of an upload.

    Raises:
        ContentError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(f"The file is not UTF-8 text: byte {error.start} is wrong.") from error


def data_type(declared: str | None, text: str) -> int:
    """What the text is: as declared, else HTML if it starts with `<div`, else JSON.

    Raises:
        ContentError: the declaration is no number of a type, or a JSON text is not JSON.
    """
    kind = _declared(declared) if declared else (HTML if text.startswith("<div") else JSON)
    if kind == JSON:
        parsed(text)
    return kind


def _declared(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", word.strip()) or int(word) > _LARGEST_TYPE:
        raise ContentError(f"data_type {word!r} is not a number: 0 is JSON, 1 is HTML.")
    return int(word)


def parsed(text: str) -> Any:
    """The value of a JSON text; NaN and infinities, which JSON does not have, become null.

    Raises:
        ContentError: it is not JSON, for example because it was cut.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ContentError("The JSON is nested too deeply.") from error
    except ValueError as error:
        raise ContentError(f"The file is neither a plot <div> nor JSON: {error}.") from error


def portable(text: str) -> str:
    """The same JSON value in ASCII, without the numbers that JSON does not have.

    Raises:
        ContentError: it is not JSON.
    """
    value = parsed(text)
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        # A number such as 1e999; looked for only now because looking at each one is slow.
        finite = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
        return json.dumps(finite)


def _finite(word: str) -> float | None:
    value = float(word)
    return value if math.isfinite(value) else None


def expiry(declared: str) -> datetime:
    """The instant of an ISO date or date-time; without a zone it is UTC.

    Raises:
        ContentError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(declared.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ContentError(
            f"expiration_date {declared!r} is no ISO date such as 2030-01-31 "
            "or 2030-01-31T10:00:00Z."
        ) from error
