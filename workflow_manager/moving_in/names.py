"""Names of the old system as names that may stand in addresses and folders here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The row for central services, which is no beamline.
CENTRAL_SERVICES = "common"


@dataclass(frozen=True, slots=True)
class NameShape:
    """What a kind of name must look like; the codec takes the same in messages."""

    in_case: Callable[[str], str]
    pattern: re.Pattern[str]
    unusable: re.Pattern[str]
    longest: int


INSTRUMENT = NameShape(
    in_case=str.lower,
    pattern=re.compile(r"[a-z][a-z0-9_-]{0,39}"),
    unusable=re.compile(r"[^a-z0-9]+"),
    longest=40,
)
PROPOSAL = NameShape(
    in_case=str.upper,
    pattern=re.compile(r"[A-Z0-9](?!.*\.\.)[A-Z0-9_.-]{0,63}"),
    unusable=re.compile(r"[^A-Z0-9]+"),
    longest=64,
)


def names_here(names: Mapping[int, str], shape: NameShape) -> dict[int, str]:
    """The name that each numbered row of the old system has here.

    Names that differ in case or in blanks around them become the same. What cannot be a name
    gets one that ends in the row's number, so that it is nobody else's and the same each time.
    """
    return {number: _name(number, text, shape) for number, text in names.items()}


def _name(number: int, text: str, shape: NameShape) -> str:
    candidate = shape.in_case(text.strip())
    if shape.pattern.fullmatch(candidate):
        return candidate
    end = f"-{number}"
    cleaned = shape.unusable.sub("_", candidate).strip("_")
    if not cleaned[:1].isalpha():
        cleaned = shape.in_case(f"x{cleaned}")
    return cleaned[: shape.longest - len(end)] + end
