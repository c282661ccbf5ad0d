"""What the buttons beside chosen PVs do to the list of names."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType


def add(names: Sequence[str], name: str) -> list[str]:
    return [*names] if name in names else [*names, name]


def remove(names: Sequence[str], name: str) -> list[str]:
    return [each for each in names if each != name]


def move_up(names: Sequence[str], name: str) -> list[str]:
    return _moved(names, name, -1)


def move_down(names: Sequence[str], name: str) -> list[str]:
    return _moved(names, name, 1)


def _moved(names: Sequence[str], name: str, by: int) -> list[str]:
    """The first cannot go up, nor the last down; a name that is gone goes nowhere."""
    moved = [*names]
    if name in moved:
        place = moved.index(name)
        other = min(max(place + by, 0), len(moved) - 1)
        moved[place], moved[other] = moved[other], moved[place]
    return moved


CHANGES: Mapping[str, Callable[[Sequence[str], str], list[str]]] = MappingProxyType(
    {"add": add, "remove": remove, "up": move_up, "down": move_down}
)
