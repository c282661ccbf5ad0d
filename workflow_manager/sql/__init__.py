"""The statements of this package, by file and name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

RECORD = load(Path(__file__).with_name("record.sql"))
OUTBOX = load(Path(__file__).with_name("outbox.sql"))
HEALTH = load(Path(__file__).with_name("health.sql"))
MOVING_IN = load(Path(__file__).with_name("moving_in.sql"))
RECONCILIATION = load(Path(__file__).with_name("reconciliation.sql"))
EVENT_PARTITIONS = load(Path(__file__).with_name("event_partitions.sql"))
PRESENCE = load(Path(__file__).with_name("presence.sql"))
RECOVERY = load(Path(__file__).with_name("recovery.sql"))
BATCHES = load(Path(__file__).with_name("batches.sql"))
DISPATCH = load(Path(__file__).with_name("dispatch.sql"))
