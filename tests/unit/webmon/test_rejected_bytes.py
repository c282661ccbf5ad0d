"""Bytes of strangers are shown so that nothing in them hides or acts."""

import pytest

from webmon.system.odd_bytes import visible


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"plain\n\ttext", "plain\n\ttext"),
        (b"\x00\x1b[31m", "\\x00\\x1b[31m"),
        (b"\xff\xfeabc", "\\xff\\xfeabc"),
        ("µ Å".encode(), "µ Å"),
        ("a\u202eb".encode(), "a\\u202eb"),
        ("a\u200bb".encode(), "a\\u200bb"),
        (b"\r\n", "\\r\n"),
    ],
)
def test_odd_bytes_are_escaped(body: bytes, shown: str) -> None:
    assert visible(body) == shown
