"""The statements of this package, by file and name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

ALARMS = load(Path(__file__).with_name("alarms.sql"))
ENVELOPES = load(Path(__file__).with_name("envelopes.sql"))
EXPORTS = load(Path(__file__).with_name("exports.sql"))
HEALTH = load(Path(__file__).with_name("health.sql"))
INGEST = load(Path(__file__).with_name("ingest.sql"))
MOVING_IN = load(Path(__file__).with_name("moving_in.sql"))
NOTIFICATIONS = load(Path(__file__).with_name("notifications.sql"))
OVERVIEW = load(Path(__file__).with_name("overview.sql"))
PARTITIONS = load(Path(__file__).with_name("partitions.sql"))
PREVIEWS = load(Path(__file__).with_name("previews.sql"))
ROLLUPS = load(Path(__file__).with_name("rollups.sql"))
VALUE_LISTS = load(Path(__file__).with_name("value_lists.sql"))
VALUES = load(Path(__file__).with_name("values.sql"))
WATCH = load(Path(__file__).with_name("watch.sql"))
