"""Slows down whoever tries passwords: some failures, then a pause.

Counted are failures for a name from one address, and all failures from one address. A name alone
is not counted, because then anybody could lock somebody else out.
"""

from django.core.cache import cache

FAILURES_FOR_A_NAME = 10
FAILURES_FROM_AN_ADDRESS = 100
PAUSE_SECONDS = 300


def is_paused(name: str, address: str) -> bool:
    limits = _limits(name, address)
    counts = cache.get_many(limits)
    return any(counts.get(key, 0) >= limit for key, limit in limits.items())


def note_failure(name: str, address: str) -> None:
    for key in _limits(name, address):
        cache.add(key, 0, PAUSE_SECONDS)
        cache.incr(key)


def forget(name: str, address: str) -> None:
    cache.delete_many(_limits(name, address))


def _limits(name: str, address: str) -> dict[str, int]:
    pair = f"{name.casefold()} {address}".encode().hex()
    return {
        f"log-in-name-{pair}": FAILURES_FOR_A_NAME,
        f"log-in-address-{address.encode().hex()}": FAILURES_FROM_AN_ADDRESS,
    }
