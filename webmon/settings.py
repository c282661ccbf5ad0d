"""Django's settings. Everything that differs between installations comes from `WebConfig`."""

from datetime import timedelta
from pathlib import Path

import plotly

from webmon.config import WebConfig
from workflow_manager.kernel.environment import read

CONFIG = read(WebConfig)
ROOT = Path(__file__).resolve().parent.parent

SECRET_KEY = CONFIG.secret_key
DEBUG = CONFIG.debug
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(CONFIG.trusted_origins)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "workflow_manager",
    "dasmon_listener",
    "livedata",
    "webmon.accounts",
    "webmon.alarms",
    "webmon.batches",
    "webmon.notifications",
    "webmon.pvs",
    "webmon.runs",
    "webmon.status",
    "webmon.system",
    "webmon.push",
    "webmon.ui",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webmon.accounts.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "webmon.ui.middleware.ContentSecurityPolicyMiddleware",
]

ROOT_URLCONF = "webmon.urls"
ASGI_APPLICATION = "webmon.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webmon.accounts.policies.allowed",
                "webmon.alarms.frame.alarms_in_frame",
            ],
        },
    },
]


def _database_pool() -> dict[str, float] | bool:
    """What psycopg's pool is told; short patience, so that an outage is told and ends quickly."""
    if not CONFIG.database_pool:
        return False
    return {
        "min_size": 1,
        "max_size": CONFIG.database_pool,
        "timeout": 4.0,
        "reconnect_timeout": 2.0,
    }


DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": CONFIG.database_name,
        "USER": CONFIG.database_user,
        "PASSWORD": CONFIG.database_password,
        "HOST": CONFIG.database_host,
        "PORT": CONFIG.database_port,
        # Under ASGI each request has a thread of its own, and a connection that its thread kept
        # would outlive it: either all threads share a pool, or each closes what it opened.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "application_name": "webmon",
            "pool": _database_pool(),
            # A process that is frozen with rows locked must not hold up the others for ever, and
            # a database whose machine has vanished must be noticed.
            # No question is worth the time that compiling it takes.
            "options": "-c idle_in_transaction_session_timeout=60s -c jit=off",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/users/login"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en-us"
TIME_ZONE = CONFIG.time_zone
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = CONFIG.static_root
# plotly.js comes from the wheel that also makes the figures; nothing is fetched from elsewhere.
STATICFILES_DIRS = [("plotly", Path(plotly.__file__).parent / "package_data")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.secure_cookies
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if CONFIG.secure_cookies else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.secure_cookies else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = CONFIG.largest_upload

FACILITY_ROOT = CONFIG.facility_root
LIVEDATA_PLOT_SECRET = CONFIG.plot_secret
LIVEDATA_PLOT_LIFETIME = timedelta(days=CONFIG.plot_lifetime_days)
LIVEDATA_LARGEST_UPLOAD = CONFIG.largest_upload
LIVEDATA_PAGE_POLICY = "webmon.accounts.policies.may_see_runs"

WEB_ADDRESS = CONFIG.web_address.rstrip("/")
WEBHOOK_ALLOWED_NETWORKS = CONFIG.webhook_allowed_networks
EMAIL_HOST = CONFIG.email_host
EMAIL_PORT = CONFIG.email_port
EMAIL_HOST_USER = CONFIG.email_user
EMAIL_HOST_PASSWORD = CONFIG.email_password
EMAIL_USE_SSL = CONFIG.email_tls and CONFIG.email_port == 465
EMAIL_USE_TLS = CONFIG.email_tls and not EMAIL_USE_SSL
DEFAULT_FROM_EMAIL = CONFIG.email_from

WORKFLOW_EVENT_RETENTION_MONTHS = CONFIG.event_retention_months
DASMON_RAW_DAYS = CONFIG.history_raw_days
DASMON_MINUTE_DAYS = CONFIG.history_minute_days
DASMON_LATEST_DAYS = CONFIG.latest_days

LOGGING_CONFIG = None  # each process starts its own log: workflow_manager.kernel.logs

CELERY_BROKER_URL = CONFIG.celery_broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "expired plots": {"task": "livedata.tasks.remove_expired_streams", "schedule": 3600.0},
    "reconciliation": {"task": "workflow_manager.tasks.reconcile_all", "schedule": 86_400.0},
    "event partitions": {
        "task": "workflow_manager.tasks.tend_event_partitions",
        "schedule": 3600.0,
    },
    # It expires before the next one: while no worker has time, they do not pile up.
    "notifications": {
        "task": "dasmon_listener.tasks.notify",
        "schedule": 5.0,
        "options": {"expires": 5.0},
    },
}
if CONFIG.celery_broker.startswith("filesystem:"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": CONFIG.celery_folder,
        "data_folder_out": CONFIG.celery_folder,
        "control_folder": CONFIG.celery_folder / "control",
    }
