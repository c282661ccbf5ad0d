"""How a page's value becomes an answer: the whole page, the one part asked for, or JSON."""

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers


def part_wanted(request: HttpRequest) -> str:
    """The id of the part of the page that is asked for again; empty for the whole page."""
    if request.headers.get("HX-Request") != "true":
        return ""
    return request.headers.get("HX-Target", "")


def wants_json(request: HttpRequest) -> bool:
    if request.GET.get("format") == "json":
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def answer(
    request: HttpRequest, template: str, page: Any, *, status: int = 200, **more: Any
) -> HttpResponse:
    """Render a frozen value; templates see it as `page`."""
    if wants_json(request):
        response = HttpResponse(as_json(page), content_type="application/json", status=status)
    else:
        response = render(request, template, {"page": page, **more}, status=status)
    # The same address answers in three ways, and what it says changes with each run.
    patch_vary_headers(response, ["Accept", "HX-Request", "HX-Target"])
    patch_cache_control(response, private=True, no_cache=True)
    return response


def as_json(page: Any) -> str:
    """A frozen value as JSON: times in UTC, durations in seconds."""
    return json.dumps(_plain(page), cls=DjangoJSONEncoder, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such numbers
    return value
