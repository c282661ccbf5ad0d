import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.broker.embedded.frames import (
    Frame,
    FrameParser,
    Limits,
    ProtocolError,
    encode,
)

SMALL = Limits(body=64, header_lines=4, header_bytes=256)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
STOMPISH = st.lists(
    st.sampled_from(
        [
            b"SEND",
            b"CONNECT",
            b"\n",
            b"\r\n",
            b":",
            b"\\",
            b"\0",
            b"content-length:5",
            b"a:b",
            b"\xff",
        ]
    )
    | st.binary(max_size=20)
).map(b"".join)


def parser(version: str | None, limits: Limits | None = None) -> FrameParser:
    made = FrameParser(limits)
    made.version = version
    return made


@given(data=STOMPISH, version=st.sampled_from([None, "1.0", "1.1", "1.2"]), step=st.integers(1, 50))
def test_any_bytes_are_frames_or_a_protocol_error(
    data: bytes, version: str | None, step: int
) -> None:
    reader = parser(version, SMALL)
    try:
        for start in range(0, len(data), step):
            for frame in reader.feed(data[start : start + step]):
                assert frame.command
                assert len(frame.body) <= SMALL.body
    except ProtocolError as error:
        assert str(error)


@given(
    headers=st.dictionaries(TEXT.filter(bool), TEXT, max_size=5),
    body=st.binary(max_size=200),
    step=st.integers(1, 40),
)
def test_what_is_written_in_1_2_is_read_again(
    headers: dict[str, str], body: bytes, step: int
) -> None:
    headers["content-length"] = str(len(body))
    data = b"\n" + encode("SEND", headers, body, version="1.2") * 2
    reader = parser("1.2")
    frames = [f for at in range(0, len(data), step) for f in reader.feed(data[at : at + step])]
    assert frames == [Frame("SEND", headers, body)] * 2


@pytest.mark.parametrize(
    ("version", "line", "value"),
    [
        ("1.0", b"a: x\\n ", "x\\n"),
        ("1.1", b"a: x\\n\\c", " x\n:"),
        ("1.1", b"a:x\r", "x\r"),
        ("1.2", b"a:x\\r\r", "x\r"),
    ],
)
def test_escapes_by_version(version: str, line: bytes, value: str) -> None:
    (frame,) = parser(version).feed(b"SEND\n" + line + b"\n\n\0")
    assert frame.headers == {"a": value}


def test_of_repeated_headers_the_first_counts() -> None:
    (frame,) = parser("1.2").feed(b"SEND\na:1\na:2\n\n\0")
    assert frame.headers == {"a": "1"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SEND\na:\\t\n\n\0", "unknown escape"),
        (b"SEND\nno colon\n\n\0", "not a header line"),
        (b"SEND\ncontent-length:-1\n\n\0", "not a number"),
        (b"SEND\ncontent-length:65\n\n", "larger than 64"),
        (b"SEND\ncontent-length:" + b"9" * 99 + b"\n\n", "larger than 64"),
        (b"SEND\ncontent-length:1\n\nab", "no NUL"),
        (b"SEND\n\n" + b"x" * 65, "larger than 64"),
        (b"SEND\n" + b"a:b\n" * 5 + b"\n\0", "more than 4 header lines"),
        (b"SEND\n" + b"a:b\n" * 100, "headers larger than 256"),
        (b"SEND\na:\xff\n\n\0", "not UTF-8"),
        (b"BREW coffee\n\n\0", "not a STOMP command"),
        (b"x" * 100, "not a STOMP command"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        list(parser("1.2", SMALL).feed(data))
