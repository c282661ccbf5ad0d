"""`python -m postprocessing [--config FILE]`: the post-processing agent of one node."""

import argparse
import json
import os
import sys
from pathlib import Path

from postprocessing.agent import Agent, kinds_for
from postprocessing.config import PUBLISHER_KEYS, Config, load
from postprocessing.gateways.oncat import OncatCatalogue
from postprocessing.journal import Journal, JournalInUseError
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.kernel import logs
from workflow_manager.kernel.environment import ConfigurationError


def main() -> int:
    """Run until stopped; 0 when stopped, 2 when the configuration is not usable."""
    parser = argparse.ArgumentParser(prog="python -m postprocessing", description=__doc__)
    parser.add_argument("--config", type=Path, help="the configuration file")
    try:
        config = load(parser.parse_args().config)
        logs.start("agent", config.log_level)
        journal = Journal(config.journal_directory, config.journal_days)
        _open(journal)
        _run(config, journal)
    except (ConfigurationError, JournalInUseError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _open(journal: Journal) -> None:
    try:
        journal.open()
    except OSError as error:
        raise ConfigurationError([f"journal_directory cannot be used: {error}"]) from error


def _run(config: Config, journal: Journal) -> None:
    if not kinds_for(config.processors):
        raise ConfigurationError(["`processors` names no kind of job that this agent can do."])
    publisher, subscriber = StompPublisher(config.broker()), StompSubscriber(config.broker())
    catalogue = None
    if config.oncat_url:
        catalogue = OncatCatalogue(config.oncat_url, config.oncat_api_token)
    agent = Agent(config, journal, publisher, subscriber, catalogue)
    agent.stop_on_signals()
    agent.run(_publisher_config(config))
    publisher.close()
    journal.close()


def _publisher_config(config: Config) -> Path:
    """Write what a script's plot publisher needs, and nothing else, where it will look."""
    path = config.journal_directory / "publisher.json"
    content = {key: getattr(config, key) for key in PUBLISHER_KEYS}
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return path


if __name__ == "__main__":
    sys.exit(main())
