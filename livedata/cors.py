"""Plots may be read by scripts of any web page: they carry the key, never a cookie."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

View = Callable[..., HttpResponse]

_PREFLIGHT = {
    "Access-Control-Allow-Headers": (
        "accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with"
    ),
    "Access-Control-Allow-Methods": "DELETE, GET, OPTIONS, PATCH, POST, PUT",
    "Access-Control-Max-Age": "86400",
}


def from_anywhere(view: View) -> View:
    """Answer OPTIONS without authentication, and let every origin read the other answers."""

    @wraps(view)
    def with_headers(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            response = HttpResponse(headers=_PREFLIGHT)
        else:
            response = view(request, *args, **kwargs)
        response["Access-Control-Allow-Origin"] = "*"
        patch_vary_headers(response, ["origin"])
        return response

    return with_headers
