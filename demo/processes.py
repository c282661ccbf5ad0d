"""Every process of the demo: what it is called, how it is started, what it needs to know."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.endpoints import BrokerEndpoint
from demo.postgres import Postgres, database_answers
from demo.state import Secrets, State
from demo.supervisor import Process
from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import BrokerError, OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher

# What of our own environment the processes may see; their configuration is added to it.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "TMPDIR")
# Without them the demo tells nobody: there is no mail server, and it lives on a private address.
_NOTIFYING = (
    "EMAIL_HOST",
    "EMAIL_PORT",
    "EMAIL_USER",
    "EMAIL_PASS",
    "EMAIL_TLS",
    "EMAIL_FROM",
    "WEBHOOK_ALLOWED_NETWORKS",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before the first process starts; `more` is told to Django besides."""

    state: State
    secrets: Secrets
    postgres: Postgres
    web_port: int
    broker: BrokerEndpoint
    embedded_broker: bool
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def broker_user(self, role: str) -> tuple[str, str]:
        """The user and password of a role; a given broker has one user for all."""
        if self.embedded_broker:
            return role, self.secrets.broker[role]
        return self.broker.user, self.broker.password


def inherited_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def django_environment(plan: Plan) -> dict[str, str]:
    user, password = plan.broker_user("workflow")
    return {
        **inherited_environment(),
        **{name: os.environ[name] for name in _NOTIFYING if name in os.environ},
        **plan.postgres.environment,
        "WEB_ADDRESS": plan.web_url,
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "webmon.settings",
        "APP_SECRET": plan.secrets.application,
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "SECURE_COOKIES": "false",
        "TIME_ZONE": os.environ.get("TIME_ZONE", "America/New_York"),
        "STATIC_ROOT": str(plan.state.path("static")),
        "LIVE_PLOT_SECRET_KEY": plan.secrets.plots,
        "FACILITY_ROOT": str(plan.state.facility_root),
        "CELERY_BROKER_URL": "filesystem://",
        "CELERY_FOLDER": str(plan.state.path("celery")),
        "AMQ_BROKER": f'[["{plan.broker.host}", {plan.broker.port}]]',
        "WORKFLOW_USER": user,
        "WORKFLOW_PASS": password,
        **plan.more,
    }


def database(plan: Plan) -> Process:
    return Process(
        "database",
        plan.postgres.command,
        inherited_environment(),
        is_ready=lambda: database_answers(plan.postgres),
        stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
    )


def broker(plan: Plan) -> Process:
    folder = plan.state.path("broker")
    return Process(
        "broker",
        [
            *_python("workflow_manager.broker.embedded"),
            *("--host", plan.broker.host, "--port", str(plan.broker.port)),
            *("--credentials", str(folder / "credentials.json")),
            *("--state", str(folder / "state.json")),
        ],
        inherited_environment(),
        is_ready=lambda: broker_answers(plan.broker),
    )


def web(plan: Plan) -> Process:
    return Process(
        "web",
        [
            *_python("gunicorn", "webmon.asgi:application"),
            *("--worker-class", "uvicorn_worker.UvicornWorker", "--workers", "1"),
            *("--bind", f"127.0.0.1:{plan.web_port}", "--graceful-timeout", "3"),
            *("--access-logfile", "-", "--no-control-socket"),
        ],
        django_environment(plan) | {"DATABASE_POOL": "8"},
        is_ready=lambda: _web_answers(plan.web_url),
    )


def workflow_manager(plan: Plan) -> Process:
    command = [sys.executable, "manage.py", "run_workflow_manager"]
    return Process("workflow_manager", command, django_environment(plan))


def dasmon_listener(plan: Plan) -> Process:
    user, password = plan.broker_user("listener")
    known = {"ICAT_USER": user, "ICAT_PASS": password}
    command = [sys.executable, "manage.py", "run_dasmon_listener"]
    return Process("dasmon_listener", command, django_environment(plan) | known)


def celery_worker(plan: Plan) -> Process:
    command = _python("celery", "-A", "webmon.celery", "worker", "--pool=solo", "--loglevel=INFO")
    return Process("celery_worker", command, django_environment(plan))


def celery_beat(plan: Plan) -> Process:
    schedule = str(plan.state.path("celery", "schedule"))
    command = _python("celery", "-A", "webmon.celery", "beat", "--schedule", schedule, "--pidfile=")
    return Process("celery_beat", command, django_environment(plan))


def agent(plan: Plan) -> Process:
    configuration = plan.state.path("agent", "post_processing.conf")
    command = _python("postprocessing", "--config", str(configuration))
    return Process("agent", command, _plain(), stop_seconds=30)


def instruments(plan: Plan) -> Process:
    command = [
        *_python("demo.simulator"),
        *("--broker", f"{plan.broker.host}:{plan.broker.port}"),
        *("--credentials", str(plan.state.path("broker", "instruments.json"))),
        *("--facility-root", str(plan.state.facility_root)),
    ]
    return Process("instruments", command, _plain())


def agent_configuration(plan: Plan) -> Mapping[str, object]:
    """The agent's own file, with the contract's keys."""
    user, password = plan.broker_user("agent")
    names = ("started", "complete", "error", "disabled")
    reports = {f"reduction_{name}": f"REDUCTION.{name.upper()}" for name in names}
    return {
        "amq_user": user,
        "amq_pwd": password,
        "brokers": [[plan.broker.host, plan.broker.port]],
        "failover_uri": "",
        "postprocess_error": "POSTPROCESS.ERROR",
        **reports,
        "heart_beat": "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0",
        "python_exec": sys.executable,
        "facility_root": str(plan.state.facility_root),
        "journal_directory": str(plan.state.path("agent", "journal")),
        "log_file": str(plan.state.path("agent", "agent.log")),
        "max_procs": 2,
        "publish_url_template": (
            plan.web_url + "/plots/${instrument}/${run_number}/upload_plot_data/"
        ),
        "publisher_username": "uploads",
        "publisher_password": plan.secrets.people["uploads"],
    }


def broker_answers(endpoint: BrokerEndpoint) -> bool:
    """Whether the broker takes our credentials: only who sends something is connected."""
    address = ((endpoint.host, endpoint.port),)
    publisher = StompPublisher(BrokerConfig(address, endpoint.user, endpoint.password))
    probe = OutgoingMessage("/topic/SNS.COMMON.STATUS.DEMO", b"{}", persistent=False)
    try:
        publisher.publish([probe])
    except BrokerError:
        return False
    else:
        return True
    finally:
        publisher.close()


def _web_answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ht/", timeout=5) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _plain() -> dict[str, str]:
    return {**inherited_environment(), "PYTHONUNBUFFERED": "1"}


SCRIPTS = Path(__file__).parent / "instruments"
