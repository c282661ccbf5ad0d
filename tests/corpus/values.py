"""JSON objects with a strange value under one of the keys that mean something."""

import json
from collections.abc import Iterable
from typing import Any

from tests.corpus.body import Body, Run, announcement, arcs, body, rejected, written

_NOT_WHOLE = "not a whole number from 0 to 2147483647"
_OTHER_KINDS: tuple[Any, ...] = (0, 5, -1.5, True, False, [], ["ARCS"], {}, {"name": "ARCS"})

_NO_NAMES: dict[str, tuple[str, ...]] = {
    "instrument": (
        *("", ".", "..", "../../etc", "/etc/passwd", "AR/CS", "AR\\CS", "AR CS", "AR.CS", "_ARCS"),
        *("-rf", "4SANS", "ÅRCS", "АRCS", "ARCS;id", "$(touch /tmp/x)", "`id`", "ARCS\nCNCS"),  # noqa: RUF001
        *("' OR 1=1 --", "<script>alert(1)</script>", "\u202eSCRA", "AR\u200bCS", "A" * 41, "*"),
    ),
    "ipts": (
        *("", ".", "..", "../../../etc", "/SNS/ARCS/IPTS-1", "IPTS-1/..", "IPTS-1/nexus", "IPTS 1"),
        *("IPTS..1", "-1", "_1", "IPTS-1; rm -rf /", "$HOME", "IPTS-1|id", "IPTS-1'--", "ÏPTS-1"),
        *("<b>IPTS-1</b>", "\u202e1-STPI", "I" * 65, "IPTS-1\tIPTS-2", "%2e%2e%2f", "~root"),
    ),
    "facility": (
        "..",
        "/SNS",
        "SNS/..",
        "S NS",
        "S.NS",
        "5",
        "<i>",
        "$(id)",
        "\u202eSNS",
        "S" * 41,
    ),
}

_NO_PATHS: tuple[tuple[str, str], ...] = (
    ("", "data_file is missing"),
    ("  ", "data_file is missing"),
    ("..", "climbs with '..'"),
    ("/SNS/../../etc/passwd", "climbs with '..'"),
    ("../../../etc/shadow", "climbs with '..'"),
    ("/demo/facility/../../etc/passwd", "climbs with '..'"),
    ("/SNS/ARCS/a\nb", "U+000A"),
    ("/SNS/ARCS/a\rb", "U+000D"),
    ("/SNS/ARCS/\x1b[2J", "U+001B"),
    ("/SNS/ARCS/\x7f", "U+007F"),
    ("/SNS/ARCS/\u202esxn.1_SCRA", "U+202E"),
    ("/SNS/ARCS/\u2066x", "U+2066"),
    ("/SNS/ARCS/a\u2028b", "U+2028"),
    ("/" + "x" * 4096, "data_file has 4097 characters"),
)

_PATHS = (
    "/bin/true",
    "/etc/passwd",
    "/SNS/ARCS/IPTS-27800/nexus/two words.nxs.h5",
    "/SNS/ARCS/IPTS-27800/nexus/Größe ° µ.nxs.h5",
    "/SNS/ARCS/IPTS-27800/nexus/$(touch x);`id`|cat&.nxs.h5",
    "/SNS/ARCS/IPTS-27800/nexus/'; DROP TABLE workflow_run; --",
    "/SNS/ARCS/IPTS-27800/nexus/<img src=x onerror=alert(1)>",
    "/SNS/ARCS/IPTS-27800/nexus/..hidden..",
    "//SNS//ARCS",
    "relative/ARCS_1.nxs.h5",
    "-rf",
    "http://169.254.169.254/latest/meta-data",
    "/SNS/" + "x" * 4091,
)

# What says a run number, and which one.
_RUN_NUMBERS: tuple[tuple[Any, int], ...] = (
    (0, 0),
    ("0", 0),
    (1100, 1100),
    ("1101", 1101),
    (" 1102 ", 1102),
    ("\t1103\n", 1103),
    ("0001104", 1104),
    ("+1105", 1105),
    ("１１０６", 1106),  # noqa: RUF001
    (1107.0, 1107),
    (2147483646, 2147483646),
    ("2147483647", 2147483647),
)

_NO_RUN_NUMBERS: tuple[Any, ...] = (
    *(-1, -214583, 2**31, 2**32, 2**53, 2**63, 2**63 - 1, 2**64, 10**20, 10**900, 1.5, -0.5),
    *(1e16, 1e300, True, False, [], [1], {}, {"number": 1}, "", " ", "-1", "1.0", "1.5", "1e3"),
    *("0x10", "0b1", "1_000", "1,000", "1 000", "12abc", "ARCS_1", "one", "None", "null", "true"),
    *(
        "NaN",
        "Infinity",
        "½",
        "²",
        "Ⅻ",
        "12; DROP TABLE workflow_run",
        "$(id)",
        "9" * 21,
        "9" * 5000,
    ),
)


def _each(key: str, *values: Any) -> Iterable[tuple[str, Any]]:
    return ((key, value) for value in values)


# Decorations of a message: whatever they hold, the run is known.
_DECORATIONS: tuple[tuple[str, Any], ...] = (
    *_each("information", None, "", 5, 1.5, True, [], {"a": 1}, "µ" * 500),
    *_each("error", None, "", 0, False, ["a", "b"], {}, "a\nb\tc", "\x1b[31mred"),
    *_each("is_complete", None, False, "true", "", {}),
    *_each("job_id", None, "7", 7.0, -1, "x", 2**63, 2**64, [], {}, True),
    *_each("attempt", None, "1", 1.5, -1, 2**31, 2**64, [1], ""),
    *_each("timestamp", None, "soon", -1, 1e300, "1e300", 2**63, True, [], {}, ""),
    *_each("exit_code", None, "0", True, 2**40, -9, [], 1.5),
    *_each("started_at", None, 5, "", "yesterday", "9999-12-31T00:00:00+00:00"),
    *_each("monitors", {"1": 100}, {"beam": {"id": 3, "counts": 8}}, "", [[[]]]),
    ("", 1),
    ("a key\nof two lines", 1),
    ("__proto__", {"polluted": True}),
    ("$where", "sleep(1000)"),
    ("run_number ", 7),
    ("RUN_NUMBER", 7),
    ("\u202erebmun_nur", 7),
    ("k" * 1000, "v" * 1000),
    ("number", 10**999),
    ("small", 1e-320),
    ("large", 1.7976931348623157e308),
)


def bodies() -> Iterable[Body]:
    yield from _names()
    yield from _data_files()
    yield from _run_numbers()
    for number, (key, value) in enumerate(_DECORATIONS, start=1300):
        content = written({**announcement(number), key: value})
        yield body(f"{key[:40]!r} is {_shown(value)}", content, arcs(number))


def _names() -> Iterable[Body]:
    for key, values in _NO_NAMES.items():
        for value in values:
            words = f"{key} is" if len(value) <= 3 else "which is not a name"
            yield _wrong(key, value, words)
        yield from (_wrong(key, each, f"{_quoted(key, each)}, not a text") for each in _OTHER_KINDS)
    for key in ("instrument", "ipts"):
        yield _wrong(key, None, f"{key} is null")
        yield _without(key)
    for number, name in enumerate((None, "", " ", "sns", " SNS ", "Sns"), start=1000):
        content = written(announcement(number, facility=name))
        yield body(f"facility is {_shown(name)}", content, arcs(number))
    for number, name in enumerate(("arcs", "Arcs", " ARCS ", "\tARCS\r\n"), start=1010):
        content = written(announcement(number, instrument=name))
        yield body(f"instrument is {_shown(name)}", content, arcs(number))
    for number, name in enumerate(("ipts-27800", " IPTS-27800", "IPTS-27800\n"), start=1020):
        content = written(announcement(number, ipts=name))
        yield body(f"ipts is {_shown(name)}", content, arcs(number))
    yield from _unusual_names()


def _unusual_names() -> Iterable[Body]:
    for name in ("a", "REF-M", "x" * 40, "id15a", "BioMAX", "null"):
        run = Run(name.lower(), 1030, "IPTS-27800", "SNS", arcs(1030).data_file)
        content = written(announcement(1030, instrument=name))
        yield body(f"instrument is {_shown(name)}", content, run)
    for number, name in enumerate(("1", "20260123", "2026-B.7", "exp_7", "P" * 64), start=1040):
        run = Run("arcs", number, name.upper(), "SNS", arcs(number).data_file)
        yield body(f"ipts is {_shown(name)}", written(announcement(number, ipts=name)), run)


def _data_files() -> Iterable[Body]:
    for path, words in _NO_PATHS:
        yield _wrong("data_file", path, words)
    for kind in _OTHER_KINDS:
        yield _wrong("data_file", kind, f"{_quoted('data_file', kind)}, not a path")
    yield _wrong("data_file", None, "data_file is missing")
    yield _without("data_file")
    for number, path in enumerate(_PATHS, start=1060):
        run = Run("arcs", number, "IPTS-27800", "SNS", path)
        content = written(announcement(number, data_file=path))
        yield body(f"data_file is {_shown(path)}", content, run)
    for number, around in enumerate((" %s ", "%s\n", "/demo/facility%s"), start=1080):
        content = written(announcement(number, data_file=around % arcs(number).data_file))
        yield body(f"data_file is {around!r}", content, arcs(number))
    for number, none in enumerate((None, ""), start=1090):
        run = Run("arcs", number, "IPTS-27800", "SNS", "")
        content = written(announcement(number, data_file=none))
        yield body(f"a report's data_file is {none!r}", content, run, "REDUCTION.STARTED")


def _run_numbers() -> Iterable[Body]:
    for value, number in _RUN_NUMBERS:
        run = Run("cncs", number, "IPTS-27800", "SNS", "/SNS/CNCS/x")
        content = announcement(0, instrument="CNCS", run_number=value, data_file="/SNS/CNCS/x")
        yield body(f"run_number is {_shown(value)}", written(content), run)
    exponent = written(announcement(1120)).replace(b"1120,", b"112e1,")
    yield body("run_number is 112e1", exponent, arcs(1120))
    for value in _NO_RUN_NUMBERS:
        yield _wrong("run_number", value, _NOT_WHOLE)
    yield _wrong("run_number", None, "run_number is null")
    yield _without("run_number")
    for text, words in (
        ("NaN", "run_number is NaN, which is no JSON number"),
        ("Infinity", "run_number is Infinity, which is no JSON number"),
        ("-Infinity", "run_number is -Infinity, which is no JSON number"),
        ("1e400", "run_number is 1e400, a number too large"),
        ("-1e400", "run_number is -1e400, a number too large"),
        ("9" * 300 + "e99", "(303 characters), a number too large"),
        ("1" + "0" * 5000, "run_number is a number of 5001 digits"),
        ("-" + "1" * 5000, "run_number is a number of 5001 digits"),
    ):
        number_written = written(announcement(1)).replace(b": 1,", f": {text},".encode())
        yield rejected(f"run_number is {text[:20]}, {len(text)} long", number_written, words)


def _wrong(key: str, value: Any, words: str) -> Body:
    name = f"{key} is {_shown(value)}"
    return rejected(name, written(announcement(1, **{key: value})), words)


def _without(key: str) -> Body:
    content = {name: value for name, value in announcement(1).items() if name != key}
    return rejected(f"{key} is missing", written(content), f"{key} is missing")


def _quoted(key: str, value: Any) -> str:
    return f"{key} is {json.dumps(value)}"


def _shown(value: Any) -> str:
    """For a name: short, and different for what is different."""
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:40]} and so on, {len(text)} long"
