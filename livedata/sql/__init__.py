"""The statements of this package by name."""

from pathlib import Path

from workflow_manager.kernel.named_queries import load

STREAMS = load(Path(__file__).with_name("streams.sql"))
