"""What belongs to no area: the pages for errors, the icon and the word to robots."""

import sys

from django.contrib.auth.decorators import login_not_required
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static

AGAIN_SECONDS = 5


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "ui/not_found.html", status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "ui/forbidden.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """What broke; when it is the way to the database, a page that tries again by itself."""
    # Without context processors: they may be what failed.
    if not isinstance(sys.exception(), OperationalError):
        return render(None, "ui/server_error.html", status=500)
    response = render(None, "ui/unavailable.html", {"again": AGAIN_SECONDS}, status=503)
    response["Retry-After"] = str(AGAIN_SECONDS)
    return response


@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("ui/icon.svg"))


@login_not_required
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
