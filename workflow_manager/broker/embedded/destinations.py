"""Names of queues and topics: prefixes and wildcards."""

from dataclasses import dataclass
from functools import lru_cache

QUEUE = "/queue/"
TOPIC = "/topic/"


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination without its prefix. Without a prefix it was meant as a queue."""

    name: str
    is_topic: bool

    @property
    def is_wildcard(self) -> bool:
        tokens = self.name.split(".")
        return "*" in tokens or tokens[-1] == ">"


@lru_cache(maxsize=4096)
def parse(text: str) -> Destination:
    """Split the prefix off.

    Raises:
        ValueError: there is no name.
    """
    is_topic = text.startswith(TOPIC)
    name = text.removeprefix(TOPIC) if is_topic else text.removeprefix(QUEUE)
    if not name:
        raise ValueError(f"destination without a name: {text!r}")
    return Destination(name, is_topic)


@lru_cache(maxsize=16384)
def matches(pattern: str, name: str) -> bool:
    """Tell whether `name` is one of `pattern`: `*` is one token, a last `>` is all the rest."""
    wanted, given = pattern.split("."), name.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    if len(wanted) != len(given):
        return False
    return all(w in ("*", g) for w, g in zip(wanted, given, strict=True))
