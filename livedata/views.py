"""The plot store as publishers and readers in the field know it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.utils import dateformat, timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from livedata import access, selectors, services
from livedata.answers import not_modified, stored_as, tagged
from livedata.cors import View, from_anywhere
from livedata.domain import content
from livedata.domain.addresses import number
from livedata.models import Stream

LONGEST_NAME = 128
# What a form adds to the file: boundaries, other fields.
FORM_BYTES = 64 * 1024
USER_DATA_EXPIRES_AT = datetime(2100, 1, 1, tzinfo=UTC)
# The listing's texts are in the zone of the facility whose readers parse them.
LISTING_ZONE = ZoneInfo("America/New_York")


@login_not_required
@from_anywhere
@require_safe
def read_html(request: HttpRequest, instrument: str, run: str) -> HttpResponse:
    return _read(request, instrument, run, content.HTML)


@login_not_required
@from_anywhere
@require_safe
def read_json(request: HttpRequest, instrument: str, run: str) -> HttpResponse:
    return _read(request, instrument, run, content.JSON)


def _read(request: HttpRequest, instrument: str, run: str, data_type: int) -> HttpResponse:
    if not access.may_read(request, instrument, run):
        return HttpResponse(status=401)
    run_number = number(run)
    message = None if run_number is None else selectors.newest(instrument, run_number)
    if message is None or message.metadata.get("data_type") != data_type:
        return HttpResponseNotFound(f"No data available for {instrument} {run}")
    return not_modified(request, message.tag) or tagged(stored_as(message), message.tag)


def _for_publishers(view: View) -> View:
    """Let only accounts in; answer 400 with the reason for what they did wrong."""

    @login_not_required
    @csrf_exempt
    @from_anywhere
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if _announced_bytes(request) > settings.LIVEDATA_LARGEST_UPLOAD + FORM_BYTES:
            return _too_large()
        try:
            with_session = access.publisher(request)
        except access.NotAuthenticatedError:
            return HttpResponse(status=401)
        except access.TooManyFailuresError:
            sentence = "Too many wrong passwords: wait a minute."
            return _sentence(sentence, 429, {"Retry-After": "60"})
        try:
            return with_session(view(request, *args, **kwargs))
        except content.ContentError as error:
            return with_session(_sentence(str(error), 400))

    return checked


def _announced_bytes(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() else 0


def _too_large() -> HttpResponse:
    limit = settings.LIVEDATA_LARGEST_UPLOAD
    return _sentence(f"The file is larger than {limit} bytes, the most that is kept.", 413)


def _sentence(sentence: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        sentence, status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


@_for_publishers
def upload_plot(request: HttpRequest, instrument: str, run: str) -> HttpResponse:
    run_number = number(run)
    if run_number is None:
        raise content.ContentError(f"Run number {run} is too large.")

    def store(metadata: dict[str, Any], stored: bytes, expires_at: datetime | None) -> None:
        services.append(
            instrument=instrument,
            run_number=run_number,
            metadata=metadata,
            content=stored,
            expires_at=expires_at or timezone.now() + settings.LIVEDATA_PLOT_LIFETIME,
        )

    return _upload(request, instrument, store)


@_for_publishers
def upload_user_data(request: HttpRequest, instrument: str) -> HttpResponse:
    data_id = request.POST.get("data_id", "")
    if "\0" in data_id or len(data_id) > LONGEST_NAME:
        raise content.ContentError(f"data_id must be text of at most {LONGEST_NAME} characters.")

    def store(metadata: dict[str, Any], stored: bytes, expires_at: datetime | None) -> None:
        services.append_user_data(
            user=instrument,
            data_id=data_id,
            metadata=metadata,
            content=stored,
            expires_at=expires_at or USER_DATA_EXPIRES_AT,
        )

    return _upload(request, instrument, store)


def _upload(
    request: HttpRequest,
    name: str,
    store: Callable[[dict[str, Any], bytes, datetime | None], None],
) -> HttpResponse:
    """Check everything before anything is stored."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        return HttpResponse(status=400)
    if (file.size or 0) > settings.LIVEDATA_LARGEST_UPLOAD:
        return _too_large()
    if len(name) > LONGEST_NAME:
        raise content.ContentError(f"A name has at most {LONGEST_NAME} characters.")
    stored = file.read()
    data_type = content.data_type(request.POST.get("data_type"), content.decoded(stored))
    expiration = request.POST.get("expiration_date")
    store({"data_type": data_type}, stored, content.expiry(expiration) if expiration else None)
    return HttpResponse()


@_for_publishers
def list_streams(request: HttpRequest, instrument: str) -> HttpResponse:
    streams = selectors.streams_of(instrument)
    if not streams:
        return HttpResponseNotFound(f"Nothing is stored for {instrument}")
    extra = bool(request.POST.get("extra"))
    return JsonResponse([_listed(stream, extra) for stream in streams], safe=False)


def _listed(stream: Stream, extra: bool) -> dict[str, Any]:
    entry = {
        "id": stream.id,
        "run_number": str(stream.run_number),
        "run_id": stream.data_id or "",
        "timestamp": stream.created_at.astimezone(UTC).isoformat(),
        "created_on": _in_words(stream.created_at),
    }
    if extra:
        expires_at = stream.expires_at
        entry["expiration_date"] = _in_words(expires_at) if expires_at else None
        entry["expired"] = expires_at is not None and expires_at < timezone.now()
    return entry


def _in_words(moment: datetime) -> str:
    """Such as `Nov. 20, 2026, 5:38 a.m.`"""
    return dateformat.format(moment.astimezone(LISTING_ZONE), "N j, Y, P")
