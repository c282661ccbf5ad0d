"""What the web monitor and every other Django process need to know; the fields document it."""

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from dasmon_listener.domain.addresses import Network
from workflow_manager.kernel.environment import boolean, integer, names, text, variable


def networks(value: str) -> tuple[Network, ...]:
    """Networks such as `10.1.0.0/16`, as a JSON list or separated by commas.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(name) for name in names(value))


@dataclass(frozen=True, slots=True)
class WebConfig:
    secret_key: str = variable(
        "APP_SECRET", text, "the key that signs sessions; make one per installation", secret=True
    )
    debug: bool = variable(
        "APP_DEBUG", boolean, "show debugging pages; never in production", default=False
    )
    allowed_hosts: tuple[str, ...] = variable(
        "ALLOWED_HOSTS", names, "the host names of the web address", default=("localhost",)
    )
    trusted_origins: tuple[str, ...] = variable(
        "CSRF_TRUSTED_ORIGINS",
        names,
        "the web addresses, with scheme, behind a TLS proxy",
        default=(),
    )
    secure_cookies: bool = variable(
        "SECURE_COOKIES",
        boolean,
        "send cookies over TLS only; false only for plain HTTP on one machine",
        default=True,
    )
    time_zone: str = variable(
        "TIME_ZONE", text, "the zone in which pages show times", default="America/New_York"
    )
    database_name: str = variable("DATABASE_NAME", text, "the PostgreSQL database")
    database_user: str = variable("DATABASE_USER", text, "its user")
    database_password: str = variable("DATABASE_PASS", text, "its password", secret=True)
    database_host: str = variable(
        "DATABASE_HOST", text, "its host name, or the folder of its socket"
    )
    database_port: int = variable("DATABASE_PORT", integer, "its port", default=5432)
    database_pool: int = variable(
        "DATABASE_POOL",
        integer,
        "connections that a web process keeps, at most; 0 opens one for each request",
        default=0,
    )
    static_root: Path = variable(
        "STATIC_ROOT",
        Path,
        "where collectstatic puts style sheets and scripts",
        default=Path("static"),
    )
    plot_secret: str = variable(
        "LIVE_PLOT_SECRET_KEY",
        text,
        "the secret in the keys that open plots; without it nobody can read plots by key",
        default="",
        secret=True,
    )
    plot_lifetime_days: int = variable(
        "LIVE_PLOT_EXPIRATION_TIME", integer, "days after which a run's plots expire", default=1095
    )
    largest_upload: int = variable(
        "LARGEST_UPLOAD", integer, "bytes of one uploaded plot", default=32 * 1024 * 1024
    )
    facility_root: Path = variable(
        "FACILITY_ROOT", Path, "where /SNS and /HFIR are on this machine", default=Path("/")
    )
    event_retention_months: int = variable(
        "EVENT_RETENTION_MONTHS",
        integer,
        "whole months for which a run's messages are kept, besides this one; 0 keeps them for ever",
        default=0,
    )
    history_raw_days: int = variable(
        "HISTORY_RAW_DAYS",
        integer,
        "whole days for which every sample is kept, besides today; 0 keeps them for ever",
        default=14,
    )
    history_minute_days: int = variable(
        "HISTORY_MINUTE_DAYS",
        integer,
        "days for which each minute of a PV is kept, by whole months; 0 keeps them for ever; "
        "hours stay",
        default=3650,
    )
    latest_days: float = variable(
        "CACHE_PURGE_TIMEOUT",
        float,
        "days after which the newest value of a PV that nobody hears or watches is forgotten; "
        "0 keeps it for ever",
        default=180.0,
    )
    celery_broker: str = variable(
        "CELERY_BROKER_URL",
        text,
        "the broker of Celery",
        default="redis://localhost:6379/0",
        secret=True,
    )
    celery_folder: Path = variable(
        "CELERY_FOLDER",
        Path,
        "where Celery keeps its messages when its broker is filesystem://",
        default=Path("celery"),
    )
    web_address: str = variable(
        "WEB_ADDRESS",
        text,
        "where these pages are, such as https://webmon.example.org, for links in notifications",
        default="",
    )
    email_host: str = variable(
        "EMAIL_HOST", text, "the mail server; without one no e-mail is sent", default=""
    )
    email_port: int = variable("EMAIL_PORT", integer, "its port", default=25)
    email_user: str = variable("EMAIL_USER", text, "its user, if it wants one", default="")
    email_password: str = variable(
        "EMAIL_PASS", text, "the password of that user", default="", secret=True
    )
    email_tls: bool = variable(
        "EMAIL_TLS",
        boolean,
        "speak TLS with it: from the first byte on port 465, by STARTTLS on others",
        default=False,
    )
    email_from: str = variable(
        "EMAIL_FROM", text, "the sender of notifications", default="webmon@localhost"
    )
    webhook_allowed_networks: tuple[Network, ...] = variable(
        "WEBHOOK_ALLOWED_NETWORKS",
        networks,
        "private networks to which webhooks may lead, such as 10.1.0.0/16; others are refused",
        default=(),
    )
