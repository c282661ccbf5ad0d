"""The web application for an ASGI server, such as gunicorn with uvicorn's workers."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from servestatic import ServeStaticASGI

from workflow_manager.kernel import logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmon.settings")


def _protect(headers: Any, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


# Style sheets and scripts never reach Django: they are sent compressed, in pieces, from files that
# collectstatic has prepared, and names with a hash are kept by browsers for good.
_django = ServeStaticASGI(
    get_asgi_application(),
    root=settings.STATIC_ROOT,
    prefix=settings.STATIC_URL,
    allow_all_origins=False,
    add_headers_function=_protect,
)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Django's application, and the start and stop of the process around it."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _django(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    watch = asyncio.create_task(_end_when_orphaned(os.getppid()))
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            # The server's own loggers have handlers; ours, with who asked for what, had none.
            logs.start("web")
            _end_streams_on(signal.SIGTERM, signal.SIGINT)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            watch.cancel()
            return


async def _end_when_orphaned(parent: int) -> None:
    """A worker whose gunicorn was killed would hold the port, and no new one could start."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    signal.raise_signal(signal.SIGTERM)


def _end_streams_on(*signals: signal.Signals) -> None:
    """A server waits for open answers before it stops, and streams of events never end alone."""
    from webmon.push.views import hub  # noqa: PLC0415 (after Django's start)

    loop = asyncio.get_running_loop()
    for number in signals:
        before = signal.getsignal(number)

        def end(number: int, frame: FrameType | None, before: Any = before) -> None:
            loop.call_soon_threadsafe(hub().close)
            if callable(before):
                before(number, frame)

        signal.signal(number, end)
