"""The statements of this package, by file and name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

NOTIFICATIONS = load(Path(__file__).with_name("notifications.sql"))
