"""Log in and log out."""

from urllib.parse import urlencode

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from webmon.accounts import throttle

WRONG = "This user name and password do not match an account. Both are case-sensitive."
PAUSED = "Too many attempts failed. Wait five minutes, then try again."


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """The log-in form; `next` is followed only within this site."""
    target = _safe_target(request)
    if request.user.is_authenticated:
        return redirect(target)
    if request.method == "GET":
        return _form(request, target)
    name = request.POST.get("username", "")
    address = request.META.get("REMOTE_ADDR", "")
    if throttle.is_paused(name, address):
        return _form(request, target, problem=PAUSED, status=429)
    user = authenticate(request, username=name, password=request.POST.get("password", ""))
    if user is None:
        throttle.note_failure(name, address)
        return _form(request, target, problem=WRONG, status=403)
    throttle.forget(name, address)
    login(request, user)
    return redirect(target)


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def log_out(request: HttpRequest) -> HttpResponse:
    """A GET asks first: a link on some other page must not log anybody out."""
    if request.method == "POST":
        logout(request)
        return redirect("log in")
    return render(request, "accounts/log_out.html")


@login_not_required
@require_http_methods(["GET"])
def database_log_in(request: HttpRequest) -> HttpResponse:
    """The database pages have no door of their own: theirs would not slow down guessing.

    Raises:
        PermissionDenied: to whoever is logged in and was sent here, which is not staff.
    """
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect(f"{reverse('log in')}?{urlencode({'next': request.GET.get('next', '/')})}")


def _safe_target(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure())
    return wanted if safe else "/"


def _form(
    request: HttpRequest, target: str, *, problem: str = "", status: int = 200
) -> HttpResponse:
    values = {"target": target, "problem": problem, "name": request.POST.get("username", "")}
    return render(request, "accounts/log_in.html", values, status=status)
