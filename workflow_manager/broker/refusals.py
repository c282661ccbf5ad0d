"""What a broker does not grant us, and when we ask for it again."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workflow_manager.broker.ports import Subscription

log = logging.getLogger(__name__)

SHORTEST = 5.0  # seconds until what was refused is asked for again, doubling
LONGEST = 60.0
OPTIONAL = 600.0  # seconds, where nobody misses it


@dataclass(slots=True)
class Refusal:
    """A subscription that the broker does not grant, and when we ask again."""

    words: str
    pause: float
    until: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until


class Refusals:
    """What the broker does not grant us, over all connections."""

    def __init__(self) -> None:
        self._refused: dict[Subscription, Refusal] = {}
        self._broken_at: Subscription | None = None

    def add(self, wanted: Subscription, words: str) -> None:
        """Leave it alone for a while, longer each time."""
        before = self._refused.get(wanted)
        pause = min(LONGEST, 2 * before.pause) if before else SHORTEST
        if wanted.is_optional:
            pause = OPTIONAL
        level = logging.INFO if wanted.is_optional or before else logging.ERROR
        log.log(level, "The broker refused %s; the others go on: %s", wanted.destination, words)
        self._refused = {
            **self._refused,
            wanted: Refusal(words, pause, time.monotonic() + pause),
        }

    def is_to_blame(self, wanted: Subscription) -> bool:
        """Whether a connection that ended while this was asked for ended because of it.

        Classic hangs up without a word when a name is no name. Once may be chance.
        """
        is_again = self._broken_at == wanted
        self._broken_at = None if is_again else wanted
        return is_again

    def forget(self, wanted: Subscription) -> None:
        """It was granted."""
        if self._broken_at == wanted:
            self._broken_at = None
        if wanted in self._refused:
            log.info("The broker grants %s now", wanted.destination)
            self.keep_only([each for each in self._refused if each != wanted])

    def keep_only(self, wanted: Iterable[Subscription]) -> None:
        """Forget what nobody wishes any more."""
        kept = set(wanted)
        self._refused = {each: why for each, why in self._refused.items() if each in kept}

    def holds(self, wanted: Subscription) -> bool:
        """Whether it is too early to ask again."""
        refusal = self._refused.get(wanted)
        return refusal is not None and not refusal.is_over

    def pause(self) -> float | None:
        """Seconds until one may be asked for again; None if there is none."""
        ends = [each.until for each in self._refused.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def words(self) -> Mapping[str, str]:
        return {
            wanted.destination: refusal.words
            for wanted, refusal in self._refused.items()
            if not wanted.is_optional
        }
