"""Values as files of any length: written by the database while they are sent, never collected."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from django.utils.http import content_disposition_header

from dasmon_listener import exports
from dasmon_listener.domain.envelopes import Grain
from dasmon_listener.domain.series import Kind
from dasmon_listener.exports import Excerpt
from webmon.pvs.questions import Question, QuestionError
from workflow_manager.models import Instrument

# Each holds a connection to the database for as long as its receiver takes; others wait in line, so
# that pages always find one.
MOST_AT_ONCE = 3
_slots = asyncio.Semaphore(MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file, and how an excerpt becomes one."""

    content_type: str
    pieces: Callable[[Excerpt], Iterator[bytes]]


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "csv": Form("text/csv; charset=utf-8", exports.as_csv),
        "json": Form("application/json", exports.as_json),
    }
)


def excerpt(instrument: Instrument, asked: Question, query: QueryDict) -> Excerpt:
    """What the address asks for; `level` is raw, minute or hour.

    Raises:
        QuestionError: nothing is named, two kinds are, or a level that there is not.
    """
    kinds = {each.kind for each in asked.names}
    if not kinds:
        raise QuestionError("Name at least one PV (pv=…) or status value (value=…).")
    if len(kinds) > 1:
        raise QuestionError("A file has PVs or status values: ask for one after the other.")
    level = query.get("level", "") or Grain.RAW.value
    if level not in set(Grain):
        raise QuestionError(f"level: one of {', '.join(Grain)}.")
    return Excerpt(
        names=[each.name for each in asked.names],
        begin=asked.range.start,
        end=asked.range.end,
        grain=Grain(level),
        instrument=instrument,
        kind=Kind(kinds.pop()),
    )


def download(request: HttpRequest, wanted: Excerpt, form: str) -> StreamingHttpResponse:
    """The file `<instrument>-<begin>.<form>`, sent as it is read."""
    pieces = FORMS[form].pieces(wanted)
    # An asynchronous server would collect a plain iterator before it sends the first piece.
    content = _in_turn(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=FORMS[form].content_type)
    name = f"{wanted.instrument}-{wanted.begin:%Y-%m-%dT%H-%M-%SZ}-{wanted.grain}.{form}"
    disposition = content_disposition_header(as_attachment=True, filename=name)
    response.headers["Content-Disposition"] = str(disposition)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _in_turn(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    async with _slots:
        async for piece in exports.streamed(pieces):
            yield piece
