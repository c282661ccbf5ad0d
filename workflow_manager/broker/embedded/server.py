"""Sockets, heart-beats and stopping, around `session`."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from workflow_manager.broker.embedded.frames import FrameParser, Limits, ProtocolError
from workflow_manager.broker.embedded.session import Session
from workflow_manager.broker.embedded.switchboard import Switchboard

log = logging.getLogger(__name__)

LOGIN_TIME = 10.0  # seconds within which a connection has to say CONNECT
FAREWELL_TIME = 2.0  # seconds a refused client has to read why
SILENCE = 2.0  # a client is dead after this many of its intervals
BURST = 1024 * 1024  # bytes that we put together before the socket has its say
EXPECTED_PAUSE = 0.5  # we send in half the promised interval, so that jitter does not kill


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: str = "127.0.0.1"
    port: int = 0
    credentials: Mapping[str, str] | None = None
    limits: Limits = field(default_factory=Limits)


class Connection(asyncio.Protocol):
    """One socket: parses, answers in batches, and watches for silence."""

    def __init__(self, switchboard: Switchboard, config: ServerConfig, others: set["Connection"]):
        self._parser = FrameParser(config.limits)
        self._session = Session(switchboard, config.credentials, self._write, self._is_blocked)
        self._others = others
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._is_paused = False
        self._is_leaving = False
        self._heard_at = self._loop.time()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._others.add(self)
        self._later("login", LOGIN_TIME, self._check_login)

    def connection_lost(self, _error: Exception | None) -> None:
        self._others.discard(self)
        self._is_leaving = True
        for timer in self._timers.values():
            timer.cancel()
        self._session.end()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._session.resume()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._is_leaving:
            return
        try:
            for frame in self._parser.feed(data):
                is_new = self._session.version is None
                self._session.receive(frame)
                if is_new:
                    self._begin()
                if self._session.is_finished:
                    self._leave()
                    return
        except ProtocolError as error:
            log.warning("%s: %s", self._transport.get_extra_info("peername"), error)
            self._session.refuse(str(error))
            self._leave()

    def _begin(self) -> None:
        self._parser.version = self._session.version
        if self._session.send_every:
            self._beat()
        if self._session.expect_every:
            self._watch()

    def _beat(self) -> None:
        if not self._is_leaving:
            self._transport.write(b"\n")
            self._later("beat", self._session.send_every * EXPECTED_PAUSE, self._beat)

    def _watch(self) -> None:
        limit = self._session.expect_every * SILENCE
        silent = self._loop.time() - self._heard_at
        if silent >= limit:
            log.warning("%s is silent", self._transport.get_extra_info("peername"))
            self._transport.abort()
        else:
            self._later("watch", max(0.05, limit - silent), self._watch)

    def _check_login(self) -> None:
        if self._session.version is None:
            self._session.refuse("no CONNECT in time")
            self._leave()

    def _leave(self) -> None:
        """Give back at once, let the client read the last words, then close."""
        self._is_leaving = True
        self._session.end()
        self._flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._later("farewell", FAREWELL_TIME, self._transport.abort)

    def _later(self, name: str, delay: float, action: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(delay, action)

    def eof_received(self) -> None:
        """None lets asyncio close our side too."""

    def hush(self) -> None:
        """Neither take nor deliver anything more."""
        self._flush()
        self._is_leaving = True
        self._session.is_finished = True

    def close(self) -> None:
        """Give back at once: a client that does not read would hold its messages for ever."""
        self._session.end()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _is_blocked(self) -> bool:
        return self._is_paused or self._is_leaving or self._out_bytes >= BURST

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)
        self._out_bytes += len(data)

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()
        was_full, self._out_bytes = self._out_bytes >= BURST, 0
        if was_full and not self._is_blocked():
            self._session.resume()


class Server:
    """Listens until `stop`."""

    def __init__(self, switchboard: Switchboard, config: ServerConfig) -> None:
        self._switchboard = switchboard
        self._config = config
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; return the address."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._switchboard, self._config, self._connections),
            self._config.host,
            self._config.port,
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def stop(self) -> None:
        """Close every connection, which gives their messages back to the queues.

        All are hushed before the first gives back, or the next would be dealt what it returned.
        """
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.hush()
        for connection in list(self._connections):
            connection.close()
        deadline = asyncio.get_running_loop().time() + FAREWELL_TIME
        while self._connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
