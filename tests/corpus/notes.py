"""Notes of the data acquisition (SMS), and topics that only look as if they carried one."""

from collections.abc import Iterable
from typing import Any

from tests.corpus.body import SMS_OF_ARCS, Body, Run, body, rejected, written

_NO_INSTRUMENT = "names no instrument"

# A token is missing, empty, strange, or one too many: its second is nobody's name.
_TOPICS_OF_NOBODY = (
    "/topic/SNS.APP.SMS",
    "SNS.APP.SMS",
    "ADARA.APP.SMS",
    "/topic/SNS..APP.SMS",
    "/topic/.ARCS.APP.APP.SMS",
    "/topic/SNS.ARCS.CNCS.APP.SMS",
    "/topic/SNS.COMMON.APP.SMS",
    "/topic/SNS.STATUS.APP.SMS",
    "/topic/SNS.SIGNAL.APP.SMS",
    "/topic/SNS.APP.APP.SMS",
    "/topic/SNS.*.APP.SMS",
    "/topic/SNS.>.APP.SMS",
    "/topic/SNS.4.APP.SMS",
    "/topic/SNS.AR CS.APP.SMS",
    "/topic/SNS./ETC/PASSWD.APP.SMS",
    "/topic/SNS.$(id).APP.SMS",
    "/topic/SNS.<b>.APP.SMS",
    "/topic/SNS.ÅRCS.APP.SMS",
    "/topic/SNS.\u202eSCRA.APP.SMS",
    f"/topic/SNS.{'A' * 41}.APP.SMS",
    f"/topic/SNS.{'A' * 100_000}.APP.SMS",
    "/queue/x.APP.SMS",
)

_WRONG: tuple[tuple[str, Any, str], ...] = (
    ("run_number", None, "run_number is null"),
    ("run_number", "", "not a whole number"),
    ("run_number", -1, "not a whole number"),
    ("run_number", "214584.5", "not a whole number"),
    ("ipts", None, "ipts is null"),
    ("ipts", "", 'ipts is "", which is not a name'),
    ("ipts", "../IPTS-1", "which is not a name"),
    ("ipts", 27800, "ipts is 27800, not a text"),
    ("facility", 5, "facility is 5, not a text"),
    ("facility", "../SNS", "which is not a name"),
)

# Whatever these say, the run is known.
_STRANGE: tuple[tuple[str, Any], ...] = (
    ("msg_type", None),
    ("reason", None),
    ("reason", 5),
    ("reason", ["a"]),
    ("reason", "x" * 10_000),
    ("instrument", None),
    ("instrument", "BL-16B/../.."),
    ("instrument", {"id": "BL18"}),
    ("facility", None),
    ("facility", ""),
    ("data_file", 5),
    ("data_file", "/SNS/../../etc/passwd"),
    ("information", "not the reason"),
    ("error", ["odd"]),
)


def _note(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "msg_type": "2686451712",
        "facility": "SNS",
        "instrument": "BL18",
        "run_number": str(number),
        "ipts": "IPTS-27800",
        "reason": "SMS run started",
        **changes,
    }


def bodies() -> Iterable[Body]:
    for topic in _TOPICS_OF_NOBODY:
        name = f"note on {topic[:40]}, {len(topic)} long"
        yield rejected(name, written(_note(1)), _NO_INSTRUMENT, topic)
    for key in ("run_number", "msg_type", "reason", "ipts"):
        shorter = {name: value for name, value in _note(1).items() if name != key}
        yield rejected(f"note without {key}", written(shorter), f"lacks {key};", SMS_OF_ARCS)
    yield rejected("note with nothing", b"{}", "lacks run_number, msg_type, reason", SMS_OF_ARCS)
    path = b"/SNS/ARCS/IPTS-1/nexus/ARCS_1.nxs.h5"
    yield rejected("note that is a path", path, "lacks msg_type, reason", SMS_OF_ARCS)
    for key, value, words in _WRONG:
        content = written(_note(1, **{key: value}))
        yield rejected(f"note whose {key} is {value!r}", content, words, SMS_OF_ARCS)
    for number, (key, value) in enumerate(_STRANGE, start=2000):
        content = written(_note(number, **{key: value}))
        run = Run("arcs", number, "IPTS-27800")
        yield body(f"note whose {key} is {str(value)[:30]!r}", content, run, SMS_OF_ARCS)
