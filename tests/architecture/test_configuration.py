"""What the documentation says of the configuration is what the processes read."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dasmon_listener.config import ListenerConfig
from webmon.config import WebConfig
from workflow_manager.config import WorkflowConfig
from workflow_manager.kernel.environment import REQUIRED, ConfigurationError, read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTIONS = {
    "Django": WebConfig,
    "Workflow manager": WorkflowConfig,
    "DASMON listener": ListenerConfig,
}


def fields(config: Any) -> dict[str, dict[str, Any]]:
    return {field.metadata["name"]: dict(field.metadata) for field in dataclasses.fields(config)}


def documented(section: str) -> dict[str, tuple[str, str]]:
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {name: (default.strip(), says.strip()) for name, default, says in rows}


def default_text(declared: dict[str, Any]) -> str:
    value = declared["default"]
    if value is REQUIRED:
        return "required"
    if isinstance(value, tuple):
        value = ",".join(value)
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if str(value) else "empty"
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_variable_is_documented_as_it_is(section: str) -> None:
    wanted = {
        name: (default_text(declared), declared["says"])
        for name, declared in fields(SECTIONS[section]).items()
    }
    assert documented(section) == wanted


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(WorkflowConfig, {"AMQ_BROKER": "localhost", "WORKFLOW_BATCH": "many"})
    problems = "\n".join(caught.value.problems)
    assert all(
        name in problems
        for name in ("AMQ_BROKER", "WORKFLOW_USER", "WORKFLOW_PASS (or", "WORKFLOW_BATCH 'many'")
    )


def test_a_secret_may_come_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("opensesame\n")
    config = read(
        WorkflowConfig,
        {
            "AMQ_BROKER": '[["localhost", 61613]]',
            "WORKFLOW_USER": "u",
            "WORKFLOW_PASS_FILE": str(file),
        },
    )
    assert config.password == "opensesame"
    assert config.brokers == (("localhost", 61613),)


def test_nobody_else_reads_the_environment() -> None:
    packages = ("workflow_manager", "dasmon_listener", "livedata", "webmon", "postprocessing")
    readers = [
        str(file.relative_to(ROOT))
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        if re.search(r"os\.(environ|getenv)", file.read_text(encoding="utf-8"))
    ]
    allowed = {"workflow_manager/kernel/environment.py"}
    assert set(readers) - allowed <= {"webmon/asgi.py", "webmon/celery.py", *scripts_side()}
    assert os.environ["APP_SECRET"]


def scripts_side() -> set[str]:
    """What runs inside a reduction script has no configuration object of ours."""
    return {
        "postprocessing/publish_plot.py",
        "postprocessing/jobs/reduction.py",
        "postprocessing/execution/supervisor.py",
        "postprocessing/execution/program.py",
    }
