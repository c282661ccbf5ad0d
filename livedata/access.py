"""Who may read a plot and who may publish.

A reader of one run has its key. A publisher sends an account's name and password with every
upload, or a session's cookie. These requests need no CSRF token: another site's page cannot send
our cookie with a POST, because session cookies are `SameSite=Lax`.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token

from livedata.domain.keys import opens

TRUSTED_SECONDS = 60.0
FAILURES_PER_MINUTE = 10
_MOST_REMEMBERED = 1000


class NotAuthenticatedError(Exception):
    """No account or session, or the wrong password."""


class TooManyFailuresError(Exception):
    """This account was tried from this address with wrong passwords, too often to go on."""


def may_read(request: HttpRequest, instrument: str, run: str) -> bool:
    """Whether the key of the request opens this run; the header counts before the query.

    Without a secret there are no keys: then a session is needed.
    """
    secret = settings.LIVEDATA_PLOT_SECRET
    if not secret:
        return request.user.is_authenticated
    key = request.headers.get("Authorization", request.GET.get("key", ""))
    return opens(key, instrument, run, secret)


@dataclass(frozen=True, slots=True)
class _Verified:
    until: float
    password_hash: str
    session_key: str


class VerifiedLogins:
    """Logins that were right less than a minute ago.

    Checking a password costs 0.1 s of processor time, too much for every upload. Kept is a keyed
    hash of name and password, with a key that only this process knows. The account is read each
    time: a new password or a deactivated account counts at once. One session serves all uploads
    of that minute, so that uploads do not fill the table of sessions.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)
        self._logins: dict[bytes, _Verified] = {}
        self._lock = threading.Lock()

    def session_key(self, user: AbstractBaseUser, name: str, password: str) -> str | None:
        """The session of a verified login, or None if the password has to be checked."""
        with self._lock:
            login = self._logins.get(self._digest(name, password))
        if login is None or login.until < self._now() or login.password_hash != user.password:
            return None
        return login.session_key

    def remember(self, user: AbstractBaseUser, name: str, password: str, session_key: str) -> None:
        verified = _Verified(self._now() + TRUSTED_SECONDS, user.password, session_key)
        with self._lock:
            if len(self._logins) >= _MOST_REMEMBERED:
                self._logins.clear()
            self._logins[self._digest(name, password)] = verified

    def _digest(self, name: str, password: str) -> bytes:
        # The length keeps ("ab", "c") apart from ("a", "bc").
        words = f"{len(name)} {name}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, words, hashlib.sha256)


_verified = VerifiedLogins()


def publisher(request: HttpRequest) -> Callable[[HttpResponse], HttpResponse]:
    """Check that the request may publish; what is returned adds the session to its answer.

    Raises:
        NotAuthenticatedError: it may not.
        TooManyFailuresError: it has to wait.
    """
    name, password = request.POST.get("username"), request.POST.get("password")
    if name is None or password is None:
        if request.user.is_authenticated:
            return _unchanged
        raise NotAuthenticatedError
    user = get_user_model().objects.filter(username=_storable(name), is_active=True).first()
    session_key = _verified.session_key(user, name, password) if user else None
    if session_key:
        return lambda response: _with_session(request, response, session_key)
    _log_in(request, name, password)
    return _unchanged


def _storable(name: str) -> str:
    # PostgreSQL has no NUL in text; a name with one belongs to nobody.
    return name.replace("\0", "\ufffd")


def _unchanged(response: HttpResponse) -> HttpResponse:
    return response


def _log_in(request: HttpRequest, name: str, password: str) -> None:
    """Check the password and start a session, whose cookie Django adds to the answer."""
    failures = _failures_key(request, name)
    if cache.get(failures, 0) >= FAILURES_PER_MINUTE:
        raise TooManyFailuresError
    user = authenticate(request, username=_storable(name), password=password)
    if user is None:
        cache.add(failures, 0, timeout=60)
        cache.incr(failures)
        raise NotAuthenticatedError
    login(request, user)
    request.session.save()
    if request.session.session_key:
        _verified.remember(user, name, password, request.session.session_key)


def _failures_key(request: HttpRequest, name: str) -> str:
    words = f"{request.META.get('REMOTE_ADDR', '')} {name}".encode("utf-8", "surrogatepass")
    return f"livedata-failures-{hashlib.sha256(words).hexdigest()}"


def _with_session(request: HttpRequest, response: HttpResponse, session_key: str) -> HttpResponse:
    """Give the cookies of the session that this login already has."""
    get_token(request)
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        session_key,
        max_age=settings.SESSION_COOKIE_AGE,
        domain=settings.SESSION_COOKIE_DOMAIN,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=settings.SESSION_COOKIE_HTTPONLY,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
    return response
