"""Hears what changed in the database, and tells every browser that asked about it.

One connection of the process listens. Each browser has a set of keys that wait to be told: a key
that changes ten times before it is told is told once, so a slow browser costs a bounded number of
keys and no notice can pile up.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable

import psycopg

log = logging.getLogger(__name__)

CHANNEL = "webmon"
LONGEST_PAUSE = 10.0
EVERY = "*"


class Subscription:
    """What one browser asked about and has not been told yet."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._wanted = frozenset(keys)
        self._pending: dict[str, None] = {}
        self._news = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def offer(self, key: str) -> None:
        """Remember the key if this browser wants it: by name, or as `instrument *`."""
        kind = key.partition(" ")[0]
        if key in self._wanted or f"{kind} {EVERY}" in self._wanted:
            self._add(key)

    def say_hello(self) -> None:
        """Whatever was told so far may have gaps: the page has to read again."""
        self._pending.clear()
        self._add("hello")

    def close(self) -> None:
        self._closed.set()
        self._news.set()

    async def news(self, timeout: float) -> list[str]:
        """The keys that changed since the last call; empty after `timeout` seconds without any."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)
        told = list(self._pending)
        self._pending.clear()
        if not self.is_closed:
            self._news.clear()
        return told

    async def pause(self, seconds: float) -> None:
        """Let changes gather; returns early when the stream is closed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    def _add(self, key: str) -> None:
        self._pending[key] = None
        self._news.set()


class Hub:
    """The listener of this process. It starts with the first browser and stops with the last."""

    def __init__(self, notices: Callable[[], AsyncIterator[str]]) -> None:
        self._notices = notices
        self._subscriptions: set[Subscription] = set()
        self._listener: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def subscribe(self, keys: Iterable[str]) -> AsyncIterator[Subscription]:
        """A subscription for as long as the block runs."""
        subscription = Subscription(keys)
        if self._is_closed:
            subscription.close()
        self._subscriptions.add(subscription)
        self._listen()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions and self._listener is not None:
                self._listener.cancel()
                self._listener = None

    def close(self) -> None:
        """End all streams: the process stops, and open streams must not hold it."""
        self._is_closed = True
        for subscription in self._subscriptions:
            subscription.close()

    @property
    def size(self) -> int:
        return len(self._subscriptions)

    def _listen(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._relay_for_ever())

    async def _relay_for_ever(self) -> None:
        pause = 0.25
        while True:
            try:
                async for key in self._notices():
                    pause = 0.25
                    self._tell(key)
            except (psycopg.Error, OSError) as error:
                log.warning("Not listening for changes, again in %.2f s: %s", pause, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _tell(self, key: str) -> None:
        for subscription in list(self._subscriptions):
            if key:
                subscription.offer(key)
            else:
                subscription.say_hello()


async def database_notices(parameters: dict[str, str | int]) -> AsyncIterator[str]:
    """Keys as they are notified; an empty one whenever listening has (again) begun.

    Raises:
        psycopg.Error: the connection was refused or lost.
    """
    connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)  # type: ignore[arg-type]
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        yield ""
        async for notice in connection.notifies():
            yield notice.payload
