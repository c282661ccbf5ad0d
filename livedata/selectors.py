"""Everything that reads streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from livedata.domain.content import HTML
from livedata.models import Stream, StreamMessage

PLOT = "plot"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message without its bytes; `size` counts them."""

    index: int
    at: datetime
    metadata: dict[str, Any]
    size: int

    @property
    def kind(self) -> str:
        return "html" if self.metadata.get("data_type") == HTML else "json"


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its bytes."""

    stream_id: int
    index: int
    at: datetime
    metadata: dict[str, Any]
    content: bytes

    @property
    def tag(self) -> str:
        """A message never changes, so where it is says what it is; quoted, as HTTP wants it."""
        return f'"{self.stream_id}-{self.index}"'


def newest(instrument: str, run_number: int, name: str = PLOT) -> Message | None:
    """The last message of a stream."""
    return _message(instrument, run_number, name)


def message(instrument: str, run_number: int, index: int, name: str = PLOT) -> Message | None:
    """One message of the history, if it is still kept."""
    return _message(instrument, run_number, name, index=index)


def _message(instrument: str, run_number: int, name: str, **which: int) -> Message | None:
    rows = StreamMessage.objects.filter(
        stream__instrument=instrument.lower(),
        stream__run_number=run_number,
        stream__name=name,
        **which,
    )
    row = rows.order_by("-index").first()
    if row is None:
        return None
    return Message(row.stream_id, row.index, row.at, row.metadata, bytes(row.content))


def history(instrument: str, run_number: int, name: str = PLOT) -> Sequence[Entry]:
    """The kept messages of a stream, newest first."""
    rows = StreamMessage.objects.filter(
        stream__instrument=instrument.lower(), stream__run_number=run_number, stream__name=name
    )
    fields = rows.order_by("-index").values_list("index", "at", "metadata", "size")
    return [Entry(*values) for values in fields]


def streams_of(instrument: str, name: str = PLOT) -> Sequence[Stream]:
    """Every stream of an instrument or a user, oldest first."""
    return list(Stream.objects.filter(instrument=instrument.lower(), name=name).order_by("id"))


def newest_run_with(instrument: str, name: str = PLOT) -> int | None:
    """The run of the highest number that has such a stream."""
    of_runs = Stream.objects.filter(instrument=instrument.lower(), name=name, data_id=None)
    return of_runs.order_by("-run_number").values_list("run_number", flat=True).first()
