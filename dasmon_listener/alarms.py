"""Alarms: what signals assert and retract."""

from collections.abc import Sequence
from datetime import datetime

from dasmon_listener.domain.signals import SignalReport


def receive(reports: Sequence[SignalReport], at: datetime) -> None:
    """Take in signals, in the caller's transaction."""
