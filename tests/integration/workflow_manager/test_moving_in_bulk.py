"""Two hundred thousand statuses move in bulk, and a killed import continues."""

import os
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase
from workflow_manager.models import Event, ImportedRun, Job, Run
from workflow_manager.moving_in.move import LOCK

ROOT = Path(__file__).parents[3]


def test_twenty_thousand_runs_with_ten_statuses_each(old: OldDatabase) -> None:
    old.fill(20_000)
    started = time.monotonic()
    call_command("import_webmon", address=old.address, stdout=StringIO())
    seconds = time.monotonic() - started
    assert (Run.objects.count(), Event.objects.count()) == (20_000, 200_000)
    assert Job.objects.filter(phase=5, agent__startswith="autoreducer").count() == 60_000
    # Row by row would be a hundred times slower; a busy machine is not.
    assert seconds < 120


def start(old: OldDatabase) -> subprocess.Popen[str]:
    """The command as a process, with many small batches."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "import_webmon", "--from", old.address, "--batch", "40"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_NAME": str(connection.settings_dict["NAME"])},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("lines", [1, 4, 9])
def test_a_killed_import_continues(old: OldDatabase, lines: int) -> None:
    old.fill(600)
    killed = start(old)
    assert killed.stdout is not None
    for _ in range(lines):
        assert killed.stdout.readline()
    killed.kill()
    killed.communicate()
    moved = ImportedRun.objects.count()
    assert moved < 600
    call_command("import_webmon", address=old.address, batch=40, stdout=StringIO())
    assert (Run.objects.count(), Event.objects.count()) == (600, 6000)
    assert Job.objects.count() == 1800
    assert ImportedRun.objects.count() == 600


def test_two_imports_at_once_are_refused(old: OldDatabase) -> None:
    old.fill(1)
    parameters = connection.get_connection_params()
    wanted = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: parameters[name] for name in wanted}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(CommandError, match="Another import"):
            call_command("import_webmon", address=old.address)
    assert not Run.objects.exists()
