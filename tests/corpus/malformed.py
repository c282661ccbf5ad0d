"""Bytes that are no JSON object, or are one only for a forgiving reader."""

from collections.abc import Iterable

from tests.corpus.body import Body, announcement, arcs, body, rejected, written

_RUN_1 = written(announcement(1))
_NOT_JSON = "neither JSON"

_REJECTED: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", "The body is empty"),
    ("blanks", b" \r\n\t ", "The body is empty"),
    ("only a byte order mark", b"\xef\xbb\xbf", "The body is empty"),
    ("a word", b"hello", _NOT_JSON),
    ("HTML", b"<html><body>502 Bad Gateway</body></html>", _NOT_JSON),
    ("XML", b'<?xml version="1.0"?><run number="1"/>', _NOT_JSON),
    ("form data", b"instrument=ARCS&run_number=1", _NOT_JSON),
    ("YAML", b"instrument: ARCS\nrun_number: 1\n", _NOT_JSON),
    ("a pickle", b"\x80\x04\x95\x0b\x00\x00\x00.", "byte 0x80 at 0 is wrong"),
    ("a zip", b"PK\x03\x04\x14\x00\x08\x08", _NOT_JSON),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00", "byte 0x8b at 1 is wrong"),
    ("HDF5", b"\x89HDF\r\n\x1a\n", "byte 0x89 at 0 is wrong"),
    ("nothing but NULs", b"\0" * 1000, _NOT_JSON),
    ("trailing garbage", _RUN_1 + b"}", _NOT_JSON),
    ("two objects", _RUN_1 + _RUN_1, _NOT_JSON),
    ("two lines of JSON", _RUN_1 + b"\n" + _RUN_1, _NOT_JSON),
    ("a NUL at the end", _RUN_1 + b"\0", _NOT_JSON),
    ("a trailing comma", _RUN_1[:-1] + b",}", _NOT_JSON),
    ("a missing comma", _RUN_1.replace(b",", b"", 1), _NOT_JSON),
    ("single quotes", str(announcement(1)).encode(), _NOT_JSON),
    ("Python's None", _RUN_1.replace(b'"SNS"', b"None"), _NOT_JSON),
    ("JavaScript's undefined", _RUN_1.replace(b'"SNS"', b"undefined"), _NOT_JSON),
    ("keys without quotes", b"{instrument: 1}", _NOT_JSON),
    ("a line comment", b"// a run\n" + _RUN_1, "no run number"),
    ("a comment inside", _RUN_1.replace(b"{", b"{/* a run */"), _NOT_JSON),
    ("a comment of a shell", b"# a run\n" + _RUN_1, _NOT_JSON),
    ("hexadecimal", _RUN_1.replace(b": 1,", b": 0x10,"), _NOT_JSON),
    ("a leading zero", _RUN_1.replace(b": 1,", b": 01,"), _NOT_JSON),
    ("a plus sign", _RUN_1.replace(b": 1,", b": +1,"), _NOT_JSON),
    ("a raw newline in a text", _RUN_1.replace(b"SNS", b"S\nNS", 1), _NOT_JSON),
    ("a raw NUL in a text", _RUN_1.replace(b"SNS", b"S\0NS", 1), _NOT_JSON),
    ("an unknown escape", _RUN_1.replace(b"SNS", b"\\x53NS", 1), _NOT_JSON),
    ("half an escape", b'{"instrument": "\\u00', _NOT_JSON),
    ("UTF-16", _RUN_1.decode().encode("utf-16"), "UTF-16"),
    ("UTF-16 without mark", _RUN_1.decode().encode("utf-16-le"), "UTF-16"),
    ("UTF-16, large end first", _RUN_1.decode().encode("utf-16-be"), "UTF-16"),
    ("UTF-32", _RUN_1.decode().encode("utf-32"), "UTF-32"),
    ("UTF-32, large end first", _RUN_1.decode().encode("utf-32-be"), "UTF-32"),
    ("UTF-7's mark", b"+/v8-{}", _NOT_JSON),
    ("Latin-1", b'{"title": "Gr\xf6\xdfe"}', "byte 0xf6 at 13 is wrong"),
    ("a cut character", b'{"title": "Gr\xc3', "byte 0xc3 at 13 is wrong"),
    ("an overlong slash", b"\xc0\xafSNS", "byte 0xc0 at 0 is wrong"),
    ("a raw surrogate", b'{"title": "\xed\xa0\x80"}', "byte 0xed at 11 is wrong"),
    ("null", b"null", "The JSON is null, not an object"),
    ("true", b"true", "The JSON is true, not an object"),
    ("false", b"false", "The JSON is false, not an object"),
    ("a whole number", b"214583", "The JSON is a number, not an object"),
    ("a broken number", b"1.5", "The JSON is a number, not an object"),
    ("NaN", b"NaN", "The JSON is NaN, which is no JSON number"),
    ("minus infinity", b"-Infinity", "The JSON is -Infinity, which is no JSON number"),
    ("a text", b'"/SNS/ARCS/IPTS-1/nexus/ARCS_1.nxs.h5"', "The JSON is a text, not an object"),
    ("a NUL in a text", b'"\\u0000"', "The JSON holds a NUL"),
    ("a list", b"[" + _RUN_1 + b"]", "The JSON is a list, not an object"),
    ("an empty list", b"[]", "The JSON is a list, not an object"),
    ("an empty object", b"{}", "instrument is missing"),
)


def bodies() -> Iterable[Body]:
    for name, content, words in _REJECTED:
        yield rejected(f"malformed: {name}", content, words)
    for length in (1, 2, 10, 40, 80, len(_RUN_1) - 2, len(_RUN_1) - 1):
        yield rejected(f"malformed: cut after {length} bytes", _RUN_1[:length], _NOT_JSON)
    yield from _forgiven()


def _forgiven() -> Iterable[Body]:
    yield body("a byte order mark", b"\xef\xbb\xbf" + written(announcement(2)), arcs(2))
    yield body("blanks around", b" \n" + written(announcement(3)) + b"\r\n", arcs(3))
    twice = written(announcement(0)).replace(b"}", b', "run_number": 4}')
    yield body("a key twice: the last counts", twice.replace(b"ARCS_0", b"ARCS_4"), arcs(4))
    escaped = written(announcement(5)).replace(b"SNS", b"\\u0053NS").replace(b"/", b"\\/")
    yield body("escapes", escaped, arcs(5))
    yield body("a pair of surrogates", written(announcement(6, title="😀")), arcs(6))
