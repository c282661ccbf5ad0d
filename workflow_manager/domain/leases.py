"""How long silence about a job is normal, before anything is known of its instrument."""

from datetime import timedelta

# From sending until an agent says that it started: it waits in the broker for a free slot.
WAIT = timedelta(minutes=10)

# From the start until the end is reported.
RUN = timedelta(minutes=30)
