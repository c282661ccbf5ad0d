"""How the processes behind an instrument are, and what to do about one that is ill."""

import datetime as dt
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from dasmon_listener.domain.silence import SignsOfLife
from dasmon_listener.overview import Equipped, Sign
from workflow_manager.domain.liveness import Liveness, liveness

# Its status is the result of making a script, not a sign of life.
SCRIPTS = "postprocessing"


class Light(enum.StrEnum):
    """How a component is, in the words that stand beside it."""

    OK = "ok"
    LATE = "late"
    SILENT = "silent"
    FAULT = "fault"
    NEVER = "never heard"


@dataclass(frozen=True, slots=True)
class ComponentLine:
    """A component with its last sign; `advice` is empty while it is well."""

    name: str
    title: str
    light: Light
    heard_at: dt.datetime | None
    expected_every: dt.timedelta | None
    advice: str


def component_lines(equipped: Equipped, now: dt.datetime) -> tuple[ComponentLine, ...]:
    """Those that were heard, and those that should have been."""
    heard = [_line(sign, now) for sign in equipped.signs if sign.name != SCRIPTS]
    return (*heard, *_missing(equipped, {line.name for line in heard}))


def dasmon_light(lines: tuple[ComponentLine, ...]) -> Light:
    return next((line.light for line in lines if line.name == "dasmon"), Light.NEVER)


def _line(sign: Sign, now: dt.datetime) -> ComponentLine:
    light = _light(sign, now)
    advice = "" if light is Light.OK else _advice(sign.name, light, sign.status)
    title = _title(sign.name)
    return ComponentLine(sign.name, title, light, sign.heard_at, sign.period, advice)


def _light(sign: Sign, now: dt.datetime) -> Light:
    limit = SignsOfLife(sign.name, sign.heard_at, sign.period).limit
    alive = liveness(now - sign.heard_at, limit)
    if alive is not Liveness.OK:
        return Light(alive.value)
    return Light.OK if sign.status.strip() in {"", "0"} else Light.FAULT


def _missing(equipped: Equipped, heard: set[str]) -> Iterator[ComponentLine]:
    """One of the two that write PVs is enough: most instruments have only one."""
    if not equipped.is_adara:
        return
    if "dasmon" not in heard:
        yield _never("dasmon")
    writers = [("pvsd", equipped.has_pvsd), ("pvstreamer", equipped.has_pvstreamer)]
    if not heard & {name for name, _ in writers}:
        yield from (_never(name) for name, is_there in writers if is_there)


def _never(name: str) -> ComponentLine:
    advice = "Ask data acquisition (DAS) whether it runs for this instrument."
    return ComponentLine(name, _title(name), Light.NEVER, None, None, advice)


def _title(name: str) -> str:
    return name.upper() if name in _WHAT_FOLLOWS else name


def _advice(name: str, light: Light, status: str) -> str:
    follows = _WHAT_FOLLOWS.get(name, "Ask whoever looks after it.")
    if light is not Light.FAULT:
        return follows
    return f"It reports {_STATUSES.get(status.strip(), f'status {status}')}. {follows}"


# What the numbers of heartbeats mean.
_STATUSES = {"1": "a fault", "2": "that it does not respond", "3": "that it is inactive"}
_RESTART = "Ask Linux support or data acquisition (DAS) to restart it."
_WHAT_FOLLOWS = {
    "dasmon": f"What this page shows may be old. {_RESTART}",
    "pvsd": f"PVs may be old. {_RESTART}",
    "pvstreamer": f"PVs may be old. {_RESTART}",
    "sms": f"Without it no run begins or ends. {_RESTART}",
    "stc": f"Without it no data file is written when a run ends. {_RESTART}",
    "sts": f"Without it no data file is written when a run ends. {_RESTART}",
}
