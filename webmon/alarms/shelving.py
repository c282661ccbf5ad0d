"""Until when an alarm is put on a shelf, in the words of the form."""

import datetime as dt

from django.utils import timezone
from django.utils.dateparse import parse_datetime

MORNING = dt.time(8)
CHOICES = (
    ("1h", "for 1 hour"),
    ("8h", "for 8 hours"),
    ("morning", "until tomorrow, 8:00"),
    ("date", "until …"),
)
_HOURS = {"1h": 1, "8h": 8}


class ShelfTimeError(ValueError):
    """A sentence for the person who chose the time."""


def shelf_end(choice: str, date: str, now: dt.datetime) -> dt.datetime:
    """When the shelf ends; `date` is a time in the facility's zone, as browsers send it.

    Raises:
        ShelfTimeError: it is no time.
    """
    if choice in _HOURS:
        return now + dt.timedelta(hours=_HOURS[choice])
    if choice == "morning":
        tomorrow = timezone.localtime(now).date() + dt.timedelta(days=1)
        return timezone.make_aware(dt.datetime.combine(tomorrow, MORNING))
    return _date(date)


def _date(text: str) -> dt.datetime:
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise ShelfTimeError("Until when? Choose a time for the shelf, or its day and hour.")
    return timezone.make_aware(at) if timezone.is_naive(at) else at
