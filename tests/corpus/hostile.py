"""Bodies made to hurt: by their size, their depth, or what they would do elsewhere."""

from collections.abc import Callable, Iterable

from tests.corpus.body import (
    DATA_READY,
    SMS_OF_ARCS,
    Body,
    Rejection,
    Run,
    announcement,
    arcs,
    body,
    rejected,
    written,
)

_LIMIT = 1024 * 1024
_MILLION = 1_000_000
_TOO_LONG = "a message about a run has at most 1048576"
_TOO_DEEP = "The JSON is nested more than 100 levels deep"


def _filled(number: int, size: int) -> bytes:
    """An announcement of exactly so many bytes."""
    short = written(announcement(number, padding=""))
    return short[:-2] + b"x" * (size - len(short)) + short[-2:]


def _nested(number: int, left: str, right: str, depth: int) -> bytes:
    inner = left * depth + "1" + right * depth
    return written(announcement(number))[:-1] + f', "deep": {inner}}}'.encode()


def _many_keys(number: int, keys: int) -> bytes:
    return written(announcement(number) | {str(key): key for key in range(keys)})


# Made when wanted: they are large.
_LARGE: tuple[tuple[str, Callable[[], bytes], Run | Rejection], ...] = (
    ("just at the limit", lambda: _filled(5000, _LIMIT), arcs(5000)),
    ("one byte over the limit", lambda: _filled(1, _LIMIT + 1), Rejection(_TOO_LONG)),
    ("4 MB", lambda: b"x" * 4 * _MILLION, Rejection("4000000 bytes")),
    ("100 MB", lambda: b"[" * 100 * _MILLION, Rejection("100000000 bytes")),
    ("1 MB of blanks", lambda: b" " * _MILLION, Rejection("The body is empty")),
    ("1 MB of NULs", lambda: b"\0" * _MILLION, Rejection("neither JSON")),
    ("1 MB of slashes", lambda: b"/" * _MILLION, Rejection("The path has 1000000 characters")),
    ("1 MB of quotes", lambda: b'"' * _MILLION, Rejection("neither JSON")),
    ("1 MB of backslashes", lambda: b'"' + b"\\" * _MILLION + b'"', Rejection("is a text")),
    ("1 MB of digits", lambda: b"9" * _MILLION, Rejection("a number of 1000000 digits")),
    ("1 MB of digits after a dot", lambda: b"0." + b"9" * _MILLION, Rejection("is a number")),
    ("1 MB text", lambda: b'"' + b"x" * _MILLION + b'"', Rejection("The JSON is a text")),
    ("30 000 keys", lambda: _many_keys(5001, 30_000), arcs(5001)),
    ("100 000 keys", lambda: _many_keys(1, 100_000), Rejection(_TOO_LONG)),
    (
        "100 000 short keys",
        lambda: b"{" + b",".join(b'"%x":1' % key for key in range(100_000)) + b"}",
        Rejection("instrument is missing"),
    ),
    (
        "100 000 times the same key",
        lambda: b"{" + b",".join([b'"":1'] * 100_000) + b"}",
        Rejection("instrument is missing"),
    ),
    (
        "100 000 numbers",
        lambda: b"[" + b"1," * 100_000 + b"1]",
        Rejection("The JSON is a list"),
    ),
    (
        "a long key around many values of which one is bad",
        lambda: b'{"' + b"k" * 400_000 + b'": [' + b"1," * 50_000 + b"NaN]}",
        Rejection("which is no JSON number"),
    ),
)

_LONG_VALUES: tuple[tuple[str, str], ...] = (
    ("instrument", "(1000002 characters), which is not a name"),
    ("ipts", "(1000002 characters), which is not a name"),
    ("facility", "(1000002 characters), which is not a name"),
    ("run_number", "(1000002 characters), not a whole number"),
    ("data_file", "data_file has 1000000 characters"),
)


def bodies() -> Iterable[Body]:
    for name, make, expected in _LARGE:
        yield Body(f"hostile: {name}", DATA_READY, make, expected)
    for key, words in _LONG_VALUES:
        yield _long(key, words)
    for number, key in enumerate(("information", "error", "title"), start=5010):
        content = written(announcement(number, **{key: "x" * 1_000_000}))
        yield body(f"hostile: {key} of 1 MB", content, arcs(number))
    yield from _deep()
    yield from _unkeepable()
    yield from _elsewhere()


def _long(key: str, words: str) -> Body:
    return Body(
        f"hostile: {key} of 1 MB",
        DATA_READY,
        lambda: written(announcement(1, **{key: "x" * _MILLION})),
        Rejection(words),
    )


def _deep() -> Iterable[Body]:
    lists, objects = ("[", "]"), ('{"a":', "}")
    yield body("99 lists deep", _nested(5020, *lists, 99), arcs(5020))
    yield body("99 objects deep", _nested(5021, *objects, 99), arcs(5021))
    for depth in (100, 101, 1000, 10_000):
        yield rejected(f"{depth} lists deep", _nested(1, *lists, depth), _TOO_DEEP)
        yield rejected(f"{depth} objects deep", _nested(1, *objects, depth), _TOO_DEEP)
    yield rejected("100 000 lists, never closed", b"[" * 100_000, _TOO_DEEP)
    yield rejected("100 000 objects, never closed", b'{"a":' * 100_000, _TOO_DEEP)
    on_topic = _nested(1, *lists, 10_000)
    yield rejected("10 000 lists deep in a note", on_topic, _TOO_DEEP, SMS_OF_ARCS)


def _unkeepable() -> Iterable[Body]:
    """What the parser takes, and neither PostgreSQL nor an agent."""
    for text, words in (
        ('"title": "a\\u0000b"', "title holds a NUL character"),
        ('"data_file": "/SNS/a\\u0000b"', "data_file holds a NUL character"),
        ('"instrument": "ARCS\\u0000"', "instrument holds a NUL character"),
        ('"title": "\\ud800"', "title holds half a surrogate pair"),
        ('"title": "\\udc00\\ud800"', "title holds half a surrogate pair"),
        ('"\\ud800": 1', '["\\ud800"] holds half a surrogate pair'),
        ('"a\\u0000": 1', '["a\\u0000"] holds a NUL character'),
        ('"scan": {"points": [1, {"x": "\\u0000"}]}', "scan.points[1].x holds a NUL character"),
        ('"scan": [[NaN]]', "scan[0][0] is NaN, which is no JSON number"),
        ('"charge": 3e999', "charge is 3e999, a number too large"),
        ('"monitors": {"1": -Infinity}', "monitors.1 is -Infinity"),
        ('"count": ' + "7" * 4301, "count is a number of 4301 digits"),
        ('"timestamp": NaN', "timestamp is NaN"),
    ):
        content = written(announcement(1))[:-1] + f", {text}}}".encode()
        yield rejected(f"unkeepable: {text[:40]}", content, words)


def _elsewhere() -> Iterable[Body]:
    """Texts that are commands for a shell, a database, a browser, a terminal or a sheet."""
    for number, text in enumerate(
        (
            "$(touch /tmp/x)",
            "`id`; rm -rf / #",
            "'; DROP TABLE workflow_run; --",
            "%s %(name)s {0} {{7*7}} ${jndi:ldap://x/a}",
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "javascript:alert(1)",
            "=cmd|' /C calc'!A0",
            "\x1b]0;title\x07\x1b[2J",
            "two\r\nlines: of\r\n\r\na header",
            "\u202egnp.exe",
            "Z̸̡̢͔a̷͙l̴̺g̵̠o̶",
            "\ufeff\u200b\u00ad",
            "\U0001f9ea" * 100,
        ),
        start=5100,
    ):
        content = announcement(number, information=text, error=text, title=text, **{text: text})
        yield body(f"hostile text {ascii(text)[:40]}", written(content), arcs(number))
