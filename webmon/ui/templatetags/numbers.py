"""Numbers as people read them, in templates."""

from django import template

from webmon.ui import numbers

register = template.Library()


@register.filter
def readable(value: float | None) -> str:
    """Six digits, grouped by thousands."""
    return numbers.words(value)


@register.filter
def size(value: float | None) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    return "" if value is None else numbers.size(value)
