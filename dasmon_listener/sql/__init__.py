"""The statements of this package, by file and name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

ENVELOPES = load(Path(__file__).with_name("envelopes.sql"))
VALUES = load(Path(__file__).with_name("values.sql"))
