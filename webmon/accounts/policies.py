"""Who may do what. Pages ask these questions by name; whatever is not allowed here is denied."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.models import User as Account
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

UPLOADS = "uploads"
SCIENTIST = "scientist"
TEAM_SUFFIX = "InstrumentTeam"  # of the groups of instruments, as in ARCSInstrumentTeam

User = AbstractBaseUser | AnonymousUser
View = Callable[..., HttpResponseBase]


class Policy(Protocol):
    def __call__(self, user: User) -> bool: ...


def may_see_runs(user: User) -> bool:
    """Every person with an account; not the accounts with which scripts upload plots."""
    return _is_active(user) and not _is_upload_account(user)


def may_see_rejected(user: User) -> bool:
    """Rejected messages show bytes of any sender, so they are for the facility's staff."""
    return _is_active(user) and bool(getattr(user, "is_staff", False))


def may_see_system(user: User) -> bool:
    """How managers, agents and queues are: the facility's staff."""
    return _is_active(user) and bool(getattr(user, "is_staff", False))


def may_settle_rejected(user: User) -> bool:
    """Replay and discard: whoever may see them."""
    return may_see_rejected(user)


def may_request(user: User) -> bool:
    """Ask for steps of runs again, one run or many: staff and instrument scientists."""
    if not _is_active(user):
        return False
    return bool(getattr(user, "is_staff", False)) or SCIENTIST in _groups(user)


def may_steer(user: User, requested_by: str) -> bool:
    """Pause, cancel or repeat a batch: staff, and a scientist the own ones."""
    if not may_request(user):
        return False
    return bool(getattr(user, "is_staff", False)) or user.get_username() == requested_by


def may_acknowledge(user: User) -> bool:
    """Answer for an alarm: whoever is responsible for instruments."""
    return may_request(user)


def may_tend(user: User, instrument: str) -> bool:
    """Set up an instrument's page, its alarms and their rules: staff, instrument scientists, and
    the instrument's team."""
    team = f"{instrument.upper()}{TEAM_SUFFIX}"
    return may_request(user) or (_is_active(user) and team in _groups(user))


def may_answer_for(user: User, instrument: str) -> bool:
    """Acknowledge and shelve an instrument's alarms: also its team, which stands beside it."""
    return may_acknowledge(user) or may_tend(user, instrument)


def may_answer_for_some(user: User) -> bool:
    """Whether there may be an alarm that the person may acknowledge."""
    is_member = _is_active(user) and any(name.endswith(TEAM_SUFFIX) for name in _groups(user))
    return may_acknowledge(user) or is_member


def may_be_told(user: User) -> bool:
    """Have notifications of alarms sent to oneself: whoever may see what they are about."""
    return may_see_runs(user)


def may_see_all_notifications(user: User) -> bool:
    """Who was told of what, and what failed: the facility's staff."""
    return may_see_system(user)


def may_read_answer(user: User, owner: int, *, is_secret: bool) -> bool:
    """Read the whole answer to a notification of this owner; it may repeat the address.

    That is for the owner, and for the staff unless the address is a secret, as a webhook's is.
    """
    return user.pk == owner or (not is_secret and may_see_all_notifications(user))


def may_listen(user: User) -> bool:
    """Notices carry only names and numbers of things that changed, and nothing of what they are."""
    return may_see_runs(user)


def person(request: HttpRequest) -> Account:
    """Who is logged in, for what is written down with a name.

    Raises:
        PermissionDenied: nobody is.
    """
    if not isinstance(request.user, Account):
        raise PermissionDenied
    return request.user


def required(policy: Policy) -> Callable[[View], View]:
    """Refuse a view (403) to those whom the policy does not allow."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not policy(request.user):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate


@dataclass(frozen=True, slots=True)
class Allowed:
    """The questions that every page's frame asks; each costs nothing until it is asked."""

    user: User

    @property
    def see_runs(self) -> bool:
        return may_see_runs(self.user)

    @property
    def see_system(self) -> bool:
        return may_see_system(self.user)

    @property
    def be_told(self) -> bool:
        return may_be_told(self.user)

    @property
    def request(self) -> bool:
        return may_request(self.user)


def allowed(request: HttpRequest) -> dict[str, Allowed]:
    """Context of every template: `may.request`, `may.see_system`."""
    return {"may": Allowed(request.user)}


def _is_active(user: User) -> bool:
    return user.is_authenticated and user.is_active


def _is_upload_account(user: User) -> bool:
    return not getattr(user, "is_staff", False) and UPLOADS in _groups(user)


def _groups(user: User) -> frozenset[str]:
    """The names of a person's groups, asked once in a request, for which the object lives."""
    if "group_names" not in user.__dict__:
        groups = getattr(user, "groups", None)
        names = () if groups is None else groups.values_list("name", flat=True)
        user.__dict__["group_names"] = frozenset(names)
    return frozenset(user.__dict__["group_names"])
