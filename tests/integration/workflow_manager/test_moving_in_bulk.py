"""Two hundred thousand statuses move in bulk, and a killed import continues."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from tests.integration.workflow_manager.old_system import OldDatabase
from workflow_manager.models import Event, Job, Run

ROOT = Path(__file__).parents[3]


def test_twenty_thousand_runs_with_their_statuses(old: OldDatabase) -> None:
    old.fill(20_000)
    started = time.monotonic()
    call_command("import_webmon", address=old.address)
    print(f"moved in {time.monotonic() - started:.1f} s")
    assert Run.objects.count() == 20_000
    assert Event.objects.count() == 200_000
    assert Job.objects.filter(phase=5, agent__startswith="autoreducer").count() == 60_000
