"""What was lost of all instruments' values: messages that could not be read, and gaps."""

import datetime as dt

from dasmon_listener.models import Gap, UnreadMessage


def unread_messages(limit: int) -> list[UnreadMessage]:
    """By topic and reason, those that came last first; each with the newest body."""
    return list(UnreadMessage.objects.order_by("-last_at")[:limit])


def newest_gaps(since: dt.datetime, limit: int) -> list[Gap]:
    """Gaps that ended since a moment, newest first, each with its instrument if it has one."""
    found = Gap.objects.filter(ended_at__gte=since).select_related("instrument")
    return list(found.order_by("-ended_at", "-id")[:limit])
