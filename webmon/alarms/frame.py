"""What the top bar of every page says about alarms."""

from functools import cached_property

from django.http import HttpRequest

from dasmon_listener.alarm_lists import Needing, needing


class FrameAlarms:
    """How many wait for somebody: one statement, and none on pages without a top bar."""

    @cached_property
    def needing(self) -> Needing:
        return needing()


def alarms_in_frame(request: HttpRequest) -> dict[str, FrameAlarms]:
    """Context of every template: `frame_alarms.needing`."""
    return {"frame_alarms": FrameAlarms()}
