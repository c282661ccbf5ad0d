"""Who is not logged in is led to the log-in page."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import middleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """A part of a page cannot be the log-in form: the whole page is told to load anew."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        to_log_in = super().process_view(request, view_func, view_args, view_kwargs)
        if to_log_in is not None and request.headers.get("HX-Request") == "true":
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return to_log_in
