"""The statements of this package, by file and name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

ALARMS = load(Path(__file__).with_name("alarms.sql"))
OVERVIEW = load(Path(__file__).with_name("overview.sql"))
