"""Starts the demo's PostgreSQL for a test run, or uses the one that the environment names."""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from demo.postgres import Postgres, create_database, database_answers, free_port, prepare


def provide() -> None:
    """Set the environment that `webmon.settings` reads, with a fresh server behind it."""
    os.environ.setdefault("APP_SECRET", secrets.token_urlsafe(48))
    os.environ.setdefault("SECURE_COOKIES", "false")
    os.environ.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1,testserver")
    os.environ.setdefault("LIVE_PLOT_SECRET_KEY", secrets.token_urlsafe(16))
    os.environ.setdefault("CELERY_BROKER_URL", "memory://")
    if "DATABASE_HOST" in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="webmon-test-postgres-"))
    postgres = prepare(folder / "data", free_port())
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(postgres.command, stdout=log, stderr=subprocess.STDOUT)
    atexit.register(_remove, server, folder)
    wait_until_ready(postgres, server)
    create_database(postgres)
    os.environ.update(postgres.environment)
    # pytest-django serves everything from one place; hashed file names are the demo's business.
    os.environ.setdefault("STATIC_ROOT", str(folder / "static"))


def wait_until_ready(
    postgres: Postgres, server: subprocess.Popen[bytes], timeout: float = 30
) -> None:
    """Return when the server takes connections."""
    deadline = time.monotonic() + timeout
    while not database_answers(postgres):
        if time.monotonic() > deadline or server.poll() is not None:
            raise RuntimeError(f"PostgreSQL in {postgres.folder} did not become ready")
        time.sleep(0.05)


def _remove(server: subprocess.Popen[bytes], folder: Path) -> None:
    server.send_signal(signal.SIGINT)
    server.wait(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)
