"""Post to a webhook, at public addresses only, and read no more of the answer than is useful.

The name is resolved here, all its addresses are judged, and the connection goes to one that was
judged: a name that resolves differently a moment later leads nowhere else.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from dasmon_listener.domain.addresses import (
    AddressRefusedError,
    Network,
    check_addresses,
    check_url,
)
from dasmon_listener.domain.outcomes import Outcome

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024
_SUCCESS, _REDIRECT = range(200, 300), range(300, 400)
Resolve = Callable[[str, int], list[str]]


def post(
    url: str,
    payload: Any,
    allowed: Sequence[Network],
    *,
    read_seconds: float = READ_SECONDS,
    resolve: Resolve | None = None,
) -> Outcome:
    """Send JSON and wait for the answer, for `read_seconds` from the connection to its end.

    `resolve` gives the addresses of a host; the system's way is what it is left out for.
    Raises nothing that the network or the other side may cause: it is in the outcome.
    """
    try:
        check_url(url)
        with _Line(allowed, read_seconds, resolve or _resolve) as line:
            return _exchange(url, payload, line)
    except AddressRefusedError as refusal:
        return Outcome(False, str(refusal), is_final=True)
    except UnicodeError as error:
        return Outcome(False, f"The name of the host is none: {error}", is_final=True)


class _Line:
    """One connection to an address that was judged, for a limited time.

    A time-out of the socket starts anew with each byte; when the time is up the connection is shut
    down under whoever reads, by a second handle, because TLS takes the first.
    """

    def __init__(self, allowed: Sequence[Network], seconds: float, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True
        self.seconds = seconds
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._timer.is_alive():
            self._timer.join()
        if self._handle is not None:
            self._handle.close()

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address of the host, `CONNECT_SECONDS` for each.

        Raises:
            AddressRefusedError: we send nothing there.
            OSError: the name is unknown, or nobody answers.
        """
        addresses = self._resolve(host, port)
        check_addresses(host, addresses, self._allowed)
        connection = _first(addresses[:2], port)
        self._handle = connection.dup()
        self._timer.start()
        return connection

    def _hang_up(self) -> None:
        self.is_over = True
        if self._handle is not None:
            try:
                self._handle.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _first(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first address that takes one."""
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), CONNECT_SECONDS)


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, line: _Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        return self._line.connect(self._dns_host, self.port or 80)


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, line: _Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        return self._line.connect(self._dns_host, self.port or 443)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Pools(urllib3.PoolManager):
    """Pools whose connections are made by the line."""

    def __init__(self, line: _Line, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._line = line
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def _new_pool(
        self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None
    ) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.conn_kw["line"] = self._line
        return pool


class _Adapter(HTTPAdapter):
    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = _Pools(
            self._line, num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs
        )


def _exchange(url: str, payload: Any, line: _Line) -> Outcome:
    with requests.Session() as session:
        # No proxies, passwords or certificates of the environment.
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(line))
        try:
            response = session.post(
                url,
                json=payload,
                headers={"User-Agent": "WebMon", "Accept-Encoding": "identity"},
                timeout=(CONNECT_SECONDS, line.seconds),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return Outcome(False, _words(error, line))
        with response:
            return _outcome(response)


def _outcome(response: requests.Response) -> Outcome:
    status = f"{response.status_code} {response.reason or ''}".strip()
    if response.status_code in _REDIRECT:
        where = _host(response.headers.get("Location", ""))
        words = f"{status}: it leads on to {where}, which is not followed; enter the final address"
        return Outcome(False, words, is_final=True)
    text = _body(response).decode("utf-8", "replace").strip()
    words = f"{status}: {text}" if text else status
    return Outcome(response.status_code in _SUCCESS, words)


def _host(address: str) -> str:
    """Without its path, which is as secret as that of the address that led here."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another address"


def _body(response: requests.Response) -> bytes:
    """What the other side says, as far as it comes and up to `LARGEST_ANSWER` bytes."""
    parts: list[bytes] = []
    rest = LARGEST_ANSWER
    try:
        while rest and (part := response.raw.read1(rest, decode_content=False)):
            parts.append(part)
            rest -= len(part)
    except (urllib3.exceptions.HTTPError, OSError):
        parts.append(b" [the answer broke off]")
    return b"".join(parts)


def _words(error: Exception, line: _Line) -> str:
    """What went wrong on the way, without the address: some of them are secrets."""
    root = _root(error)
    if isinstance(root, socket.gaierror):
        return f"The name of the host cannot be resolved: {root.strerror}"
    if line.is_over or isinstance(error, requests.ReadTimeout):
        return f"No answer within {line.seconds:g} s"
    if isinstance(root, TimeoutError):
        return f"No connection within {CONNECT_SECONDS:g} s"
    said = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return f"The connection failed: {said}"


def _root(error: BaseException) -> BaseException:
    """The innermost reason; libraries wrap it several times."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else _root(inner)
