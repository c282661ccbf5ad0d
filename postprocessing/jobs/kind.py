"""What every kind of job is, and what it is given to work with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from postprocessing.config import Config
from postprocessing.execution.program import Executor
from postprocessing.gateways.oncat import Catalogue
from postprocessing.reports import Ending
from postprocessing.request import Run


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a job works with. `results` is a path to which a suffix for each program is added."""

    config: Config
    executor: Executor
    catalogue: Catalogue | None
    mark: str
    results: Path
    publisher_config: Path
    nice: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """Queue names are without prefix. `prefix` stands before the text of an unforeseen error."""

    processor: str
    queue: str
    started: str
    error: str
    prefix: str
    runs_scripts: bool
    perform: Callable[[Run, Workplace], Ending]
