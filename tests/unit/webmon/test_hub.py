"""What a browser is told, and what it is not."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from webmon.push.hub import Hub, Subscription

SHORT = 5.0


def test_a_key_that_changes_often_is_told_once() -> None:
    async def told() -> list[str]:
        subscription = Subscription(["run arcs/1"])
        for _ in range(1000):
            subscription.offer("run arcs/1")
        return await subscription.news(SHORT)

    assert asyncio.run(told()) == ["run arcs/1"]


@pytest.mark.parametrize(
    ("wanted", "changed", "is_told"),
    [
        ("run arcs/1", "run arcs/1", True),
        ("run arcs/1", "run arcs/12", False),
        ("instrument *", "instrument cncs", True),
        ("instrument *", "run cncs/1", False),
        ("rejected", "rejected", True),
    ],
)
def test_only_what_was_asked_for_is_told(wanted: str, changed: str, is_told: bool) -> None:
    async def told() -> list[str]:
        subscription = Subscription([wanted])
        subscription.offer(changed)
        return await subscription.news(0.01)

    assert asyncio.run(told()) == ([changed] if is_told else [])


def test_after_a_lost_connection_browsers_read_again() -> None:
    listened = 0

    async def notices() -> AsyncIterator[str]:
        nonlocal listened
        listened += 1
        yield ""
        if listened == 1:
            raise psycopg.OperationalError("the server went away")
        yield "run arcs/1"
        await asyncio.Event().wait()

    async def told() -> list[list[str]]:
        hub = Hub(notices)
        async with hub.subscribe(["run arcs/1"]) as subscription:
            return [await subscription.news(SHORT), await subscription.news(SHORT)]

    first, second = asyncio.run(told())
    assert first == ["hello"]
    assert second == ["hello", "run arcs/1"]
    assert listened == 2


def test_closing_ends_every_stream_at_once() -> None:
    async def notices() -> AsyncIterator[str]:
        yield ""
        await asyncio.Event().wait()

    async def closed() -> bool:
        hub = Hub(notices)
        async with hub.subscribe(["rejected"]) as subscription:
            await subscription.news(SHORT)
            hub.close()
            await asyncio.wait_for(subscription.news(60), SHORT)
            return subscription.is_closed

    assert asyncio.run(closed())


def test_nobody_listens_when_nobody_is_there() -> None:
    stopped = asyncio.Event()

    async def notices() -> AsyncIterator[str]:
        try:
            yield ""
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def left() -> int:
        hub = Hub(notices)
        async with hub.subscribe(["rejected"]) as subscription:
            await subscription.news(SHORT)
        await asyncio.wait_for(stopped.wait(), SHORT)
        return hub.size

    assert asyncio.run(left()) == 0
