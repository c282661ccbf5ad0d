"""The configuration file: every key, every mistake."""

from pathlib import Path
from typing import Any

import pytest

from postprocessing.config import Config, load, parse
from workflow_manager.kernel.environment import ConfigurationError

LEAST: dict[str, Any] = {"amq_user": "u", "amq_pwd": "p", "brokers": [["a", 1], ["b", 2]]}


def test_the_least_file_gives_the_defaults() -> None:
    config = parse(LEAST)
    assert config.brokers == (("a", 1), ("b", 2))
    assert config.postprocess_error == "POSTPROCESS.ERROR"
    assert config.heart_beat == "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"
    assert (config.max_procs, config.jobs_per_instrument) == (5, 2)
    assert (config.system_mem_limit_perc, config.task_time_limit_minutes) == (70.0, 60.0)
    assert config.facility_root == Path("/")
    assert config.verify_ssl is True


def test_unknown_keys_are_ignored_and_slots_is_max_procs() -> None:
    assert parse({**LEAST, "mantid_path": "/x", "slots": 9}).max_procs == 9


def test_python_exec_may_have_arguments() -> None:
    config = parse({**LEAST, "python_exec": "'/opt/my python' -u"})
    assert config.python_exec == ("/opt/my python", "-u")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"brokers": [["only-host"]], "exceptions": ["("], "max_procs": 0, "verify_ssl": "?"})
    named = [problem.split()[0] for problem in caught.value.problems]
    assert named == ["amq_user", "amq_pwd", "brokers", "max_procs", "exceptions", "verify_ssl"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("facility_root", "relative"),
        ("task_time_limit_minutes", 0),
        ("task_time_limit_minutes", float("nan")),
        ("stop_grace_seconds", -1),
        ("work_environment", {"A": 1}),
        ("python_exec", "  "),
        ("python_exec", "'unclosed"),
        ("brokers", []),
        ("brokers", "localhost"),
        ("processors", "one"),
    ],
)
def test_values_that_cannot_be_used_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=key):
        parse({**LEAST, key: value})


def test_a_secret_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({**LEAST, "amq_pwd": ["hidden"]})
    assert "hidden" not in str(caught.value)


def test_no_file_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match="There is no configuration file"):
        load(places=(Path("/nowhere/post_processing.conf"),))


def test_every_setting_says_what_it_is() -> None:
    assert all(each.metadata["says"] for each in Config.__dataclass_fields__.values())
