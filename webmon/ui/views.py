"""What belongs to no area: the pages for errors, the icon and the word to robots."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "ui/not_found.html", status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "ui/forbidden.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    # Without context processors: they may be what failed.
    return render(None, "ui/server_error.html", status=500)


@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("ui/icon.svg"))


@login_not_required
def robots(request: HttpRequest) -> HttpResponse:
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
