"""Starts the whole facility in the right order, and stops it."""

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from demo import processes
from demo.endpoints import BrokerEndpoint, Endpoints
from demo.postgres import create_database, free_port, prepare
from demo.processes import Plan
from demo.state import State, write_private
from demo.supervisor import StartError, Supervisor

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for."""

    port: int
    simulator: bool
    broker: BrokerEndpoint | None


def plan(state: State, wishes: Wishes) -> Plan:
    """Decide ports and passwords, and make the data folder of the database.

    Raises:
        StartError: the port is taken, or a given broker does not answer.
        PostgresError: the data folder could not be made.
    """
    _require_free(wishes.port)
    if wishes.broker is not None:
        _require_answer(wishes.broker)
    secrets = state.prepare()
    postgres = prepare(state.path("postgres"), free_port(), secrets.database)
    broker = wishes.broker or BrokerEndpoint(
        "127.0.0.1", free_port(), "operator", secrets.broker["operator"]
    )
    return Plan(
        state=state,
        secrets=secrets,
        postgres=postgres,
        web_port=wishes.port or free_port(),
        broker=broker,
        embedded_broker=wishes.broker is None,
    )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartError(
                f"port {port} of this machine is taken ({error.strerror}): choose another with "
                "--port N, or a free one with --port 0"
            ) from error


def _require_answer(broker: BrokerEndpoint) -> None:
    """Asked first of all: nobody waits for a database to read a typing error."""
    if not processes.broker_answers(broker):
        raise StartError(
            f"The broker at {broker.host}:{broker.port} does not answer, "
            f"or does not take the user {broker.user!r} and its password."
        )


def start(supervisor: Supervisor, plan: Plan, *, simulator: bool) -> Endpoints:
    """Start everything; return when it is ready and `endpoints.json` is written.

    Raises:
        StartError: something did not start; what did is still to be stopped.
    """
    start_database_and_broker(supervisor, plan)
    supervisor.start(processes.web(plan))
    supervisor.start(processes.workflow_manager(plan))
    supervisor.start(processes.dasmon_listener(plan))
    supervisor.start(processes.agent(plan))
    supervisor.start(processes.celery_worker(plan))
    supervisor.start(processes.celery_beat(plan))
    if simulator:
        supervisor.start(processes.instruments(plan))
    endpoints = Endpoints(
        web=plan.web_url,
        broker=plan.broker,
        database=plan.postgres.url,
        facility_root=plan.state.facility_root,
        passwords=plan.secrets.people,
    )
    write_private(plan.state.endpoints_file, endpoints.as_json())
    return endpoints


def start_database_and_broker(supervisor: Supervisor, plan: Plan) -> None:
    """Start what all others stand on, with tables, accounts and files in place."""
    _write_files(plan)
    supervisor.start(processes.database(plan))
    create_database(plan.postgres)
    _prepare_application(supervisor, plan)
    if plan.embedded_broker:
        supervisor.start(processes.broker(plan))


def _write_files(plan: Plan) -> None:
    user, password = plan.broker_user("instruments")
    state = plan.state
    write_private(state.path("broker", "credentials.json"), plan.secrets.broker)
    write_private(
        state.path("broker", "instruments.json"),
        {"user": user, "password": password, "database": plan.postgres.url},
    )
    write_private(state.path("agent", "post_processing.conf"), processes.agent_configuration(plan))
    state.path("agent", "journal").mkdir(exist_ok=True)
    _install_scripts(state.facility_root)


def _install_scripts(facility_root: Path) -> None:
    """The instruments' reduction scripts, where an agent looks for them."""
    for folder in sorted(processes.SCRIPTS.iterdir()):
        if (folder / "shared").is_dir():
            target = facility_root / "SNS" / folder.name / "shared"
            shutil.copytree(
                folder / "shared",
                target,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )


def _prepare_application(supervisor: Supervisor, plan: Plan) -> None:
    command = [sys.executable, "-m", "demo.prepare"]
    log_file = plan.state.path("logs", "prepare.log")
    people = plan.state.path("people.json")
    write_private(people, plan.secrets.people)
    try:
        with people.open("rb") as words, log_file.open("wb") as output:
            child = subprocess.Popen(
                command,
                stdin=words,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=processes.django_environment(plan),
            )
            _await(child, supervisor)
    finally:
        people.unlink()
    if child.returncode != 0:
        said = log_file.read_text(encoding="utf-8", errors="replace")
        raise StartError(f"Preparing the database failed:\n{said}")


def _await(child: subprocess.Popen[bytes], supervisor: Supervisor) -> None:
    """Wait for the end of a program, or end it when a stop is asked for."""
    while child.poll() is None:
        if supervisor.stop_asked.wait(0.05):
            child.kill()
            child.wait()
            raise StartError("stopped while the database was being prepared")


def remove_endpoints(state: State) -> None:
    """A demo that is not running has no address."""
    state.endpoints_file.unlink(missing_ok=True)
