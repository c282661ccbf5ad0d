"""The stream of changes to one browser."""

import re
import time
from collections.abc import AsyncIterator
from functools import cache

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from webmon.accounts.policies import may_listen
from webmon.push.hub import Hub, Subscription, database_notices

MOST_KEYS = 64
HEARTBEAT = 15.0
LONGEST_STREAM = 900.0
SHORTEST_INTERVAL = 0.25
RETRY_MILLISECONDS = 2000
_KEY = re.compile(
    r"(alarm|batch|instrument|notification|run|stream|values) [\w/.*-]{1,100}|rejected"
)


@cache
def hub() -> Hub:
    """The one hub of this process."""
    parameters = _listening_parameters()
    return Hub(lambda: database_notices(parameters))


async def events(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events: each names a key (`?key=run arcs/1&key=...`) that has changed.

    The first event is `hello`: from now on nothing is missed, so what was read before may be old.
    """
    if not await sync_to_async(_is_allowed)(request):
        return HttpResponse(status=403)
    keys = request.GET.getlist("key")
    if not keys or len(keys) > MOST_KEYS or not all(_KEY.fullmatch(key) for key in keys):
        return HttpResponse("key: some names of things, at most 64", status=400)
    response = StreamingHttpResponse(_stream(keys), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _is_allowed(request: HttpRequest) -> bool:
    try:
        return may_listen(request.user)
    finally:
        # The answer goes on for a quarter of an hour and asks the database nothing more.
        if not connection.in_atomic_block:
            connection.close()


async def _stream(keys: list[str]) -> AsyncIterator[bytes]:
    async with hub().subscribe(keys) as subscription:
        yield f"retry: {RETRY_MILLISECONDS}\nevent: hello\ndata: -\n\n".encode()
        async for chunk in _told(subscription):
            yield chunk


async def _told(subscription: Subscription) -> AsyncIterator[bytes]:
    """Each key at most four times a second, a comment when there is nothing to say.

    The stream ends after a while and the browser opens another: so whoever has lost the right to
    listen is found out.
    """
    end = time.monotonic() + LONGEST_STREAM
    while not subscription.is_closed and time.monotonic() < end:
        started = time.monotonic()
        changed = await subscription.news(HEARTBEAT)
        yield b"".join(_event(key) for key in changed) or b": still here\n\n"
        rest = SHORTEST_INTERVAL - (time.monotonic() - started)
        if changed and rest > 0:
            await subscription.pause(rest)


def _event(key: str) -> bytes:
    kind = "hello" if key == "hello" else "changed"
    return f"event: {kind}\ndata: {key}\n\n".encode()


def _listening_parameters() -> dict[str, str | int]:
    """How to reach the database; notices do not pass a transaction pooler, so straight to it."""
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    known = {name: parameters[name] for name in names if parameters.get(name)}
    return known | {"application_name": "webmon push"}
