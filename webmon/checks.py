"""Wrong settings, told before a user meets them."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

SHORTEST_SECRET = 32


@register(Tags.security)
def secret_is_long(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) >= SHORTEST_SECRET:
        return []
    return [
        Error(
            f"APP_SECRET is shorter than {SHORTEST_SECRET} characters.",
            hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'",
            id="webmon.E001",
        )
    ]


@register(Tags.security)
def no_debugging_over_tls(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if not (settings.DEBUG and settings.SESSION_COOKIE_SECURE):
        return []
    return [
        Error(
            "APP_DEBUG is on and so is SECURE_COOKIES: debugging pages would show secrets.",
            hint="Set APP_DEBUG=false; for a machine of your own, SECURE_COOKIES=false.",
            id="webmon.E002",
        )
    ]


@register(Tags.security)
def hosts_are_named(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS allows every name, so a forged host name would be believed.",
            hint="Name the hosts of the web address.",
            id="webmon.E003",
        )
    ]


@register(Tags.security, deploy=True)
def plots_have_a_secret(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    if settings.LIVEDATA_PLOT_SECRET:
        return []
    return [
        checks.Warning(
            "LIVE_PLOT_SECRET_KEY is not set: plots open only for people who are logged in.",
            hint="Set it to the secret of the systems that read plots by key.",
            id="webmon.W001",
        )
    ]
