"""How values of an instrument look."""

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dasmon_listener.domain.recording import Recording
from webmon.status.sparklines import HEIGHT, WIDTH, Sparkline
from webmon.ui import numbers

register = template.Library()


@register.simple_tag
def drawn(line: Sparkline, name: str) -> SafeString | str:
    """The chart of a PV, with a sentence for those who do not see it; nothing without numbers."""
    if not line.path:
        return ""
    low, high = numbers.words(line.lowest), numbers.words(line.highest)
    words = f"{name}: from {low} to {high} in the last 2 hours"
    return mark_safe(  # noqa: S308 (escaped here, and made of numbers)
        f'<svg class="pv-line" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(words)}"><path d="{line.path}"/></svg>'
    )


@register.filter
def recording_shape(recording: Recording) -> str:
    return _SHAPES[recording]


_SHAPES = {
    Recording.RECORDING: "recording",
    Recording.PAUSED: "paused",
    Recording.STOPPED: "stopped",
    Recording.UNKNOWN: "unknown",
    Recording.NOT_REPORTED: "unknown",
}
