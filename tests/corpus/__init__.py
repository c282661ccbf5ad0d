"""Captured, strange and hostile messages, each with what must come of it.

Beamlines send all of them sooner or later. Nothing here is about another run of the same
instrument and number under another proposal, so the rows of all of them can be counted.
"""

from tests.corpus import captured, hostile, malformed, notes, paths, values
from tests.corpus.body import Body, Rejection, Run

__all__ = ["BODIES", "Body", "Rejection", "Run"]

BODIES: tuple[Body, ...] = tuple(
    body
    for family in (captured, paths, malformed, values, notes, hostile)
    for body in family.bodies()
)
