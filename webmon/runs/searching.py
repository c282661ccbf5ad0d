"""What a person may type into the search box, and where it leads."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from webmon.runs.pages import LARGEST_NUMBER
from workflow_manager import selectors

_PROPOSAL = re.compile(r"[A-Za-z]+-[\w.-]+")
_RUN_OF_INSTRUMENT = re.compile(r"(\w+)[\s/_#-]+(\d+)")


@dataclass(frozen=True, slots=True)
class Choice:
    """A run that the words may mean."""

    instrument: str
    number: int


@dataclass(frozen=True, slots=True)
class Found:
    """`address` if the words mean one thing; else `choices`, which may be empty."""

    text: str
    address: str = ""
    choices: tuple[Choice, ...] = ()


def find(text: str) -> Found:
    """Understand a run number, `arcs 123`, an instrument, or a proposal such as `IPTS-27800`."""
    words = text.replace("\0", "").strip()
    if words.isascii() and words.isdigit():
        return _number(words)
    instrument = selectors.instrument_named(words)
    if instrument is not None:
        return Found(text, reverse("runs", args=[instrument.name]))
    pair = _RUN_OF_INSTRUMENT.fullmatch(words)
    if pair and _is_run(pair[1], int(pair[2])):
        return Found(text, reverse("run", args=[pair[1].lower(), int(pair[2])]))
    if _PROPOSAL.fullmatch(words) and selectors.proposal_named(words) is not None:
        return Found(text, f"{reverse('all runs')}?{urlencode({'proposal': words.upper()})}")
    return Found(text)


def _number(digits: str) -> Found:
    number = int(digits) if len(digits) < 11 else LARGEST_NUMBER + 1
    if number > LARGEST_NUMBER:
        return Found(digits)
    names = selectors.instruments_with_run(number)
    if len(names) == 1:
        return Found(digits, reverse("run", args=[names[0], number]))
    return Found(digits, choices=tuple(Choice(name, number) for name in names))


def _is_run(instrument: str, number: int) -> bool:
    return number <= LARGEST_NUMBER and selectors.run_of(instrument, number) is not None
