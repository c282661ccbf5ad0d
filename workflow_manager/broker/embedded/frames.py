"""STOMP frames: bytes in, frames out, and back, for the versions 1.0, 1.1 and 1.2.

The parser is incremental and bounded: any bytes give frames or a `ProtocolError`, nothing else.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FROM_CLIENTS = frozenset(
    {"CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK"}
    | {"BEGIN", "COMMIT", "ABORT", "DISCONNECT"}
)
COMMANDS = FROM_CLIENTS | {"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"}
UNESCAPED = frozenset({"CONNECT", "STOMP", "CONNECTED"})  # sent before a version is agreed

_ESCAPE = str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c"})
_ESCAPE_12 = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"})
_MEANING = {"\\n": "\n", "\\c": ":", "\\\\": "\\"}
_MEANING_12 = {**_MEANING, "\\r": "\r"}
_ESCAPED = re.compile(r"\\.?", re.DOTALL)
_HEADERS_END = re.compile(rb"\n\r?\n")


class ProtocolError(Exception):
    """What came is not STOMP, or larger than we take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may have at most, in bytes and lines."""

    body: int = 1024 * 1024
    header_lines: int = 200
    header_bytes: int = 64 * 1024


@dataclass(slots=True)
class Frame:
    command: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def encode(
    command: str, headers: Mapping[str, str], body: bytes = b"", *, version: str = "1.2"
) -> bytes:
    """The bytes of a frame; 1.0 has no escapes, so line ends in its headers become blanks."""
    return b"".join((command.encode(), b"\n", encode_headers(headers, version), b"\n", body, b"\0"))


def encode_headers(headers: Mapping[str, str], version: str) -> bytes:
    """Header lines as they go on the wire, without the empty line after them."""
    if version == "1.0":
        pairs = ((_one_line(k), _one_line(v)) for k, v in headers.items())
    else:
        table = _ESCAPE_12 if version == "1.2" else _ESCAPE
        pairs = ((k.translate(table), v.translate(table)) for k, v in headers.items())
    return "".join(f"{key}:{value}\n" for key, value in pairs).encode()


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


class FrameParser:
    """Collects bytes and gives frames; `version` is None until the two sides agreed on one."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.version: str | None = None
        self._limits = limits or Limits()
        self._buffer = bytearray()
        self._scanned = 0  # in a body without length: how far no NUL was found
        self._head: tuple[Frame, int, int | None] | None = None

    def feed(self, data: bytes) -> Iterable[Frame]:
        """Yield the frames that `data` completes.

        Raises:
            ProtocolError: the connection cannot be used any more.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._head is None:
            self._skip_heartbeats()
            self._head = self._read_head()
        if self._head is None:
            return None
        frame, start, length = self._head
        end = self._body_end(start, length)
        if end is None:
            return None
        frame.body = bytes(self._buffer[start:end])
        del self._buffer[: end + 1]
        self._head = None
        self._scanned = 0
        return frame

    def _skip_heartbeats(self) -> None:
        buffer = self._buffer
        if buffer and buffer[0] in b"\r\n":
            rest = buffer.lstrip(b"\r\n")
            del buffer[: len(buffer) - len(rest)]

    def _read_head(self) -> tuple[Frame, int, int | None] | None:
        found = _HEADERS_END.search(self._buffer, 0, self._limits.header_bytes)
        if found is None:
            if len(self._buffer) >= self._limits.header_bytes:
                raise ProtocolError(f"headers larger than {self._limits.header_bytes} bytes")
            self._check_command_so_far()
            return None
        frame = self._parse_head(bytes(self._buffer[: found.start()]))
        return frame, found.end(), self._content_length(frame)

    def _check_command_so_far(self) -> None:
        """An endless or foreign first line is refused before its end."""
        longest = 16
        line = bytes(self._buffer[: longest + 1])
        if len(line) > longest and b"\n" not in line:
            raise ProtocolError(f"not a STOMP command: {line!r}")

    def _parse_head(self, head: bytes) -> Frame:
        try:
            lines = head.decode().split("\n")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"headers are not UTF-8: {error}") from error
        if self.version in (None, "1.2"):
            lines = [line.removesuffix("\r") for line in lines]
        command = lines[0]
        if command not in COMMANDS:
            raise ProtocolError(f"not a STOMP command: {command!r}")
        if len(lines) - 1 > self._limits.header_lines:
            raise ProtocolError(f"more than {self._limits.header_lines} header lines")
        return Frame(command, self._parse_headers(command, lines[1:]))

    def _parse_headers(self, command: str, lines: list[str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        is_plain = command in UNESCAPED or self.version in (None, "1.0")
        for line in lines:
            key, colon, value = line.partition(":")
            if not colon or not key:
                raise ProtocolError(f"not a header line: {line!r}")
            if self.version == "1.0":
                value = value.strip()
            elif not is_plain and "\\" in line:
                key, value = self._unescape(key), self._unescape(value)
            headers.setdefault(key, value)  # of repeated headers the first one counts
        return headers

    def _unescape(self, text: str) -> str:
        meanings = _MEANING_12 if self.version == "1.2" else _MEANING

        def meaning(found: re.Match[str]) -> str:
            try:
                return meanings[found.group()]
            except KeyError as error:
                raise ProtocolError(f"unknown escape {found.group()!r} in {text!r}") from error

        return _ESCAPED.sub(meaning, text)

    def _content_length(self, frame: Frame) -> int | None:
        text = frame.headers.get("content-length")
        if text is None:
            return None
        text = text.strip()
        if not (text.isascii() and text.isdigit()):
            raise ProtocolError(f"content-length is not a number: {text!r}")
        if len(text.lstrip("0")) > 12 or int(text) > self._limits.body:
            raise ProtocolError(f"body of {text} bytes is larger than {self._limits.body}")
        return int(text)

    def _body_end(self, start: int, length: int | None) -> int | None:
        if length is None:
            return self._find_nul(start)
        end = start + length
        if len(self._buffer) <= end:
            return None
        if self._buffer[end] != 0:
            raise ProtocolError("no NUL byte after the body")
        return end

    def _find_nul(self, start: int) -> int | None:
        end = self._buffer.find(b"\0", max(start, self._scanned))
        self._scanned = len(self._buffer)
        if (end if end >= 0 else self._scanned) - start > self._limits.body:
            raise ProtocolError(f"body is larger than {self._limits.body} bytes")
        return end if end >= 0 else None
