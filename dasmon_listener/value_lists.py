"""The newest values of an instrument by name, a part at a time."""

from dasmon_listener.domain.series import Kind
from dasmon_listener.models import Latest
from workflow_manager.models import Instrument


def listed_values(
    instrument: Instrument, kind: Kind, *, part: str = "", after: str = "", limit: int
) -> list[Latest]:
    """Values that are recorded, by name, each with its series.

    `part` is a part of the name in any case; `after` is the name that the last part ended with.
    """
    found = Latest.objects.filter(
        series__instrument=instrument,
        series__kind=kind.value,
        series__name__gt=after,
        series__is_recorded=True,
    )
    if part:
        found = found.filter(series__name__icontains=part)
    return list(found.select_related("series").order_by("series__name")[:limit])
