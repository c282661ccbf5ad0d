"""Any bytes, and such as nearly are messages: for hypothesis, and by the million.

`WEBMON_EXAMPLES` raises the number of hypothesis' examples, in unit tests and in integration
tests; `WEBMON_FRAMES` raises that of seeded frames.
"""

import json
import os
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.corpus import BODIES
from tests.corpus.body import DATA_READY, SMS_OF_ARCS, announcement

FRAMES = int(os.environ.get("WEBMON_FRAMES", "20000"))
_EXAMPLES = os.environ.get("WEBMON_EXAMPLES")

settings.register_profile("short", max_examples=int(_EXAMPLES or 40), deadline=None)
settings.register_profile("long", max_examples=int(_EXAMPLES or 300), deadline=None)

# Bodies small enough to be changed over and over.
SEEDS = tuple(
    content for body in BODIES if "MB" not in body.name and len(content := body.make()) < 2000
)
_TEXTS = (
    *('{"', '"}', "[", "]", '":', ',"', '"', "\\", "\\u0000", "\\ud800", "\\udc00\\ud83d"),
    *("NaN", "-Infinity", "1e999", "-0", "1.0", "9" * 30, "null", "true", "//", "/../"),
    *('"run_number":', '"instrument":', '"ipts":', '"data_file":', '"facility":', "ARCS_7"),
    *("\ufeff", "\u202e", "é", "０", "İ", "\n", "\t", " ", "[" * 101, '{"a":' * 101),  # noqa: RUF001
)
_PIECES = (
    *(text.encode() for text in _TEXTS),
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xff\xfe"),
)

_DESTINATIONS = (DATA_READY, "/queue/REDUCTION.COMPLETE", SMS_OF_ARCS, "/topic/SNS.APP.SMS")
destinations = st.sampled_from(_DESTINATIONS) | st.text(max_size=30)

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=6,
)
_KEYS = (*announcement(1), "error", "information", "job_id", "attempt", "msg_type", "reason")


def _as_sent(content: Any) -> bytes:
    return json.dumps(content).encode()


any_bytes = st.binary(max_size=300)
any_text = st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
any_json = _values.map(_as_sent)
any_values_of_known_keys = st.dictionaries(st.sampled_from(_KEYS), _values).map(
    lambda changes: _as_sent(announcement(1) | changes)
)
any_pieces = st.lists(st.sampled_from(_PIECES), max_size=20).map(b"".join)
any_mutations = st.builds(
    lambda seed, content: mutated(random.Random(seed), content),  # noqa: S311 - not a secret
    st.integers(0, 2**32),
    st.sampled_from(SEEDS),
)
any_frame = any_bytes | any_text | any_json | any_values_of_known_keys | any_pieces | any_mutations


def frames(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many changed bodies of the corpus with their destinations; the same for a seed."""
    source = random.Random(seed)  # noqa: S311 - not a secret
    for _ in range(count):
        change = source.choice((mutated, reworded))
        yield source.choice(_DESTINATIONS), change(source, source.choice(SEEDS))


def mutated(source: random.Random, content: bytes) -> bytes:
    """The bytes after one to four changes."""
    for _ in range(source.randint(1, 4)):
        start, end = sorted(source.choices(range(len(content) + 1), k=2))
        content = content[:start] + _replacement(source, content[start:end]) + content[end:]
    return content


def reworded(source: random.Random, content: bytes) -> bytes:
    """The same object with another's values under one to three of its keys; or the bytes."""
    keys = {"facility", "instrument", "ipts", "run_number", "data_file"}
    said = _said_in(content)
    for _ in range(source.randint(1, 3) if said else 0):
        other = _said_in(source.choice(SEEDS))
        name = source.choice(sorted(keys | said.keys()))
        said |= {name: source.choice(list(other.values()) or [None])}
    return _as_sent(said) if said else content


def _said_in(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _replacement(source: random.Random, part: bytes) -> bytes:
    kind = source.randrange(6)
    if kind == 0:
        return source.choice(_PIECES) + part
    if kind == 1:
        return source.choice(_PIECES)
    if kind == 2:
        return part + part
    if kind == 3:
        return source.randbytes(source.randint(0, 3)) + part
    if kind == 4:
        return bytes(byte ^ (1 << source.randrange(8)) for byte in part[:1]) + part[1:]
    other = source.choice(SEEDS)
    return part if not other else other[source.randrange(len(other)) :][:40] + part
