"""Which agents were heard, and whether we hear at all: silence of others means nothing if not.

Pure: times are seconds of one monotonic clock, given by the caller.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from workflow_manager.domain.liveness import AGENT_LATE, OLD_AGENT_LATE

MOST_AGENTS = 2_000
# We tell each 5 s and ask each 10 s; a longer gap in hearing ourselves restarts the clock.
HEARTBEAT_GAP = 12.0
PING_GAP = 15.0
_FORGET_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Heard:
    """The last sign of an agent. `answered` is true if it answered a ping and told its slots."""

    name: str
    pid: str
    slots: int | None
    at: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """An agent that should have been heard for `limit` seconds, and was not."""

    name: str
    limit: float


class Presence:
    """Signs come from one thread and are asked for by another.

    An agent that answers our pings at work, as ours do, is missed after 25 s. Others answer
    between jobs only, and their own heartbeat comes each 30 s: they are missed after 65 s.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: dict[str, Heard] = {}
        self._news: set[str] = set()
        self._ourselves = _Echo(HEARTBEAT_GAP)
        self._pings = _Echo(PING_GAP)
        self.refused = 0

    def hear_ourselves(self, at: float) -> None:
        with self._lock:
            self._ourselves.hear(at)

    def hear_ping(self, at: float) -> None:
        with self._lock:
            self._pings.hear(at)

    def hear(self, name: str, pid: str, slots: int | None, at: float, *, is_answer: bool) -> None:
        """Take in a sign of an agent; beyond 2 000 names new ones are only counted."""
        with self._lock:
            known = self._agents.get(name)
            if known is None and not self._has_room(at):
                self.refused += 1
                return
            # Heartbeats of ours tell slots too: one that does not is of another kind of agent.
            answered = slots is not None and (is_answer or bool(known and known.answered))
            self._agents[name] = Heard(name, pid, slots if answered else None, at, answered)
            self._news.add(name)

    def expect(self, agents: Iterable[tuple[str, int | None]], at: float) -> None:
        """Agents that have jobs and may have died before we began to listen.

        Their clock starts now; slots, which only an answer tells, are those of earlier times.
        """
        with self._lock:
            for name, slots in agents:
                if name not in self._agents:
                    self._agents[name] = Heard(name, "", slots, at, slots is not None)

    def is_hearing(self, at: float) -> bool:
        """Whether our own heartbeats and pings come back to us."""
        with self._lock:
            return None not in (self._ourselves.since(at), self._pings.since(at))

    def silent(self, at: float) -> list[Silence]:
        """Who is missed; nobody while we do not hear ourselves."""
        with self._lock:
            since = self._ourselves.since(at)
            if since is None:
                return []
            asked_since = self._pings.since(at)
            found = []
            for each in self._agents.values():
                limit, start = OLD_AGENT_LATE.total_seconds(), since
                if each.answered and asked_since is not None:
                    limit, start = AGENT_LATE.total_seconds(), max(since, asked_since)
                if at - max(each.at, start) > limit:
                    found.append(Silence(each.name, limit))
            return found

    def news(self) -> list[Heard]:
        """Who was heard since this was last asked."""
        with self._lock:
            names, self._news = self._news, set()
            return [self._agents[name] for name in sorted(names) if name in self._agents]

    def tell_again(self, heard: Iterable[Heard]) -> None:
        """These news could not be written down."""
        with self._lock:
            self._news |= {each.name for each in heard}

    def _has_room(self, at: float) -> bool:
        if len(self._agents) < MOST_AGENTS:
            return True
        old = [each.name for each in self._agents.values() if at - each.at > _FORGET_AFTER]
        for name in old:
            del self._agents[name]
        return bool(old)


class _Echo:
    """Our own messages, as they come back to us."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._began_at = self._last_at = float("-inf")

    def hear(self, at: float) -> None:
        if at - self._last_at > self._gap:
            self._began_at = at
        self._last_at = at

    def since(self, at: float) -> float | None:
        """Since when they come without a gap; None if they do not come."""
        return self._began_at if at - self._last_at <= self._gap else None
