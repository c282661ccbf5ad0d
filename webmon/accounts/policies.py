"""Who may do what. Pages ask these questions by name; whatever is not allowed here is denied."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

UPLOADS = "uploads"
SCIENTIST = "scientist"

User = AbstractBaseUser | AnonymousUser
View = Callable[..., HttpResponse]


class Policy(Protocol):
    def __call__(self, user: User) -> bool: ...


def may_see_runs(user: User) -> bool:
    """Every person with an account; not the accounts with which scripts upload plots."""
    return _is_active(user) and not _is_upload_account(user)


def may_see_rejected(user: User) -> bool:
    """Rejected messages show bytes of any sender, so they are for the facility's staff."""
    return _is_active(user) and bool(getattr(user, "is_staff", False))


def may_listen(user: User) -> bool:
    """Notices carry only names of things that changed, all of which the run pages show."""
    return may_see_runs(user)


def required(policy: Policy) -> Callable[[View], View]:
    """Refuse a view (403) to those whom the policy does not allow."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not policy(request.user):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def _is_active(user: User) -> bool:
    return user.is_authenticated and user.is_active


def _is_upload_account(user: User) -> bool:
    groups = getattr(user, "groups", None)
    if groups is None or getattr(user, "is_staff", False):
        return False
    return bool(groups.filter(name=UPLOADS).exists())
