"""What is missing of an instrument's values, in one sentence."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from webmon.ui import durations


class Gap(Protocol):
    """A time of which values are missing; `lost` is None where nobody could count."""

    @property
    def began_at(self) -> dt.datetime: ...
    @property
    def ended_at(self) -> dt.datetime: ...
    @property
    def lost(self) -> int | None: ...
    @property
    def reason(self) -> str: ...


def gap_sentence(gaps: Sequence[Gap], span: dt.timedelta, now: dt.datetime) -> str:
    """Of the last `span`, such as an hour; empty without a gap."""
    if not gaps:
        return ""
    newest = max(gaps, key=lambda gap: gap.ended_at)
    seconds = durations.words(_covered(gaps, now - span, now))
    times = "once" if len(gaps) == 1 else f"{len(gaps)} times"
    counted = [gap.lost for gap in gaps if gap.lost is not None]
    lost = f" ({sum(counted):,} lost)" if counted else ""
    return (
        f"In the last {_span(span)} values are missing {times}, {seconds} together{lost}; "
        f"the newest gap ended {durations.age(now - newest.ended_at)} ago: {newest.reason}."
    ).replace("..", ".")


def _span(span: dt.timedelta) -> str:
    return durations.age(span).removeprefix("1 h") or "hour"


def _covered(gaps: Sequence[Gap], since: dt.datetime, until: dt.datetime) -> dt.timedelta:
    """How long they are together; what two of them share counts once."""
    total, end = dt.timedelta(), since
    for gap in sorted(gaps, key=lambda gap: gap.began_at):
        begins, ends = max(gap.began_at, end), min(gap.ended_at, until)
        if ends > begins:
            total += ends - begins
            end = ends
    return total
