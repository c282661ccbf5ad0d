"""The agent's configuration file: JSON, its keys as on existing nodes, unknown keys ignored."""

import dataclasses
import json
import os
import re
import shlex
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.domain.destinations import AGENT_HEARTBEAT, PING, POSTPROCESS_ERROR
from workflow_manager.kernel.environment import ConfigurationError

PLACES = (
    Path("/etc/autoreduce/post_processing.conf"),
    Path("/sw/fermi/autoreduce/postprocessing/configuration/post_processing.conf"),
)
PROCESSORS = (
    "oncat_processor.ONCatProcessor",
    "oncat_reduced_processor.ONCatProcessor",
    "reduction_processor.ReductionProcessor",
)
# What a plot publisher inside a script may know of this file.
PUBLISHER_KEYS = (
    "publish_url_template",
    "publisher_username",
    "publisher_password",
    "publisher_certificate",
    "verify_ssl",
)
REQUIRED = object()
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")


def setting(parse: Callable[[Any], Any], default: Any, says: str) -> Any:
    """Declare one key of the file as a field of `Config`; `says` is its documentation."""
    return field(metadata={"parse": parse, "default": default, "says": says})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text")  # noqa: TRY004  (one kind of error for a bad value)
    return value


def _filled(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("it must not be empty")
    return str(value)


def _host_name(value: Any) -> str:
    """A name by which the workflow manager knows heartbeats and reports to be of one agent."""
    if not _HOST_NAME.fullmatch(_text(value)):
        raise ValueError("it must be a host name: letters, digits, dots, dashes, underscores")
    return str(value)


def _path(value: Any) -> Path:
    path = Path(_filled(value))
    if not path.is_absolute():
        raise ValueError("it must be an absolute path")
    return path


def _optional_path(value: Any) -> Path | None:
    return _path(value) if value else None


def _flag(value: Any) -> bool:
    if value in (0, 1, "0", "1", "true", "false"):
        return value in (True, 1, "1", "true")
    raise ValueError("it must be 0, 1, true or false")


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError("it must be a number above 0")
    return number


def _not_negative(value: Any) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("it must be a number, 0 or more")
    return number


def _count(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("it must be a whole number, 1 or more")
    return number


def _count_or_zero(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("it must be a whole number, 0 or more")
    return number


def _command(value: Any) -> tuple[str, ...]:
    words = tuple(shlex.split(_filled(value)))
    if not words:
        raise ValueError("it must name a program")
    return words


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("it must be a list of texts")
    return tuple(value)


def _patterns(value: Any) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(item) for item in _texts(value))
    except re.error as error:
        raise ValueError(f"{error.pattern!r} is not a regular expression: {error}") from error


def _addresses(value: Any) -> tuple[tuple[str, int], ...]:
    try:
        pairs = tuple((str(host), int(port)) for host, port in value)
    except (TypeError, ValueError) as error:
        raise ValueError('it must be a list like [["localhost", 61613]]') from error
    if not pairs:
        raise ValueError("it must name at least one broker")
    return pairs


def _environment(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("it must be an object of texts")
    return dict(value)


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """The keys of the file. Times carry their unit in the name. No `repr`: it holds passwords."""

    amq_user: str = setting(_filled, REQUIRED, "the broker user of the agent")
    amq_pwd: str = setting(_text, REQUIRED, "its password; or `amq_pwd_file`, a file that holds it")
    brokers: tuple[tuple[str, int], ...] = setting(
        _addresses, REQUIRED, "the brokers, a list of [host, port], tried in order"
    )
    postprocess_error: str = setting(
        _filled, POSTPROCESS_ERROR, "where jobs go that cannot be started, used as it stands"
    )
    heart_beat: str = setting(_filled, AGENT_HEARTBEAT, "where the heartbeats go")
    heartbeat_ping: str = setting(_filled, PING, "the topic on which pings come")
    processors: tuple[str, ...] = setting(_texts, PROCESSORS, "the kinds of jobs taken")
    python_exec: tuple[str, ...] = setting(
        _command, ("python3",), "what runs a reduction script, with its own arguments if needed"
    )
    log_level: str = setting(_text, "INFO", "how much is logged")
    max_procs: int = setting(_count, 5, "how many reductions run at once (also named `slots`)")
    jobs_per_instrument: int = setting(
        _count_or_zero,
        2,
        "how many reductions of one instrument run at normal priority; more run, but at low"
        " priority; 0 is no difference",
    )
    communication_only: bool = setting(_flag, False, "report success and run nothing")
    dev_instrument_shared: Path | None = setting(
        _optional_path, None, "the scripts' folder, instead of the facility's"
    )
    dev_output_dir: Path | None = setting(
        _optional_path, None, "the output folder of reductions, instead of the facility's"
    )
    exceptions: tuple[re.Pattern[str], ...] = setting(
        _patterns,
        (re.compile("Error in logging framework"),),
        "regular expressions for error lines that do not count when the exit code is 0",
    )
    system_mem_limit_perc: float = setting(
        _positive, 70.0, "memory limit of a job, in percent of the machine's"
    )
    mem_check_interval_sec: float = setting(_positive, 0.2, "period of the checks of limits")
    task_time_limit_minutes: float = setting(_positive, 60.0, "time limit of a job")
    oncat_url: str = setting(_text, "", "the ONCat catalogue; empty: none, jobs succeed at once")
    oncat_api_token: str = setting(_text, "", "its token; or `oncat_api_token_file`")
    image_filepath_metadata_paths: tuple[str, ...] = setting(
        _texts,
        ("metadata.entry.daslogs.bl10:exp:im:imagefilepath.value",),
        "where the catalogue's answer names images",
    )
    publish_url_template: str = setting(_text, "", "the plot server's upload address")
    publisher_username: str = setting(_text, "", "the plot publisher's user")
    publisher_password: str = setting(_text, "", "its password; or `publisher_password_file`")
    publisher_certificate: str = setting(_text, "", "its client certificate, a path")
    verify_ssl: bool = setting(_flag, True, "whether the plot server's certificate is checked")
    facility_root: Path = setting(_path, Path("/"), "what stands before /SNS and /HFIR here")
    journal_directory: Path = setting(
        _path, Path("/var/lib/webmon-agent"), "where the journal of jobs is; one for each agent"
    )
    journal_days: float = setting(_positive, 7.0, "how long finished jobs are remembered")
    agent_name: str = setting(
        _host_name, socket.gethostname(), "the name in replies and heartbeats"
    )
    work_environment: Mapping[str, str] = setting(
        _environment, {}, "further environment variables of the scripts"
    )
    liveness_file: Path | None = setting(
        _optional_path,
        None,
        "a file touched every 5 s while the agent's main loop and reporter work, for health"
        " checks; none: no file",
    )
    stop_grace_seconds: float = setting(
        _not_negative, 20.0, "how long running jobs may go on when the agent is stopped"
    )

    def broker(self) -> BrokerConfig:
        return BrokerConfig(self.brokers, self.amq_user, self.amq_pwd, client_name=self.agent_name)


SECRETS = ("amq_pwd", "oncat_api_token", "publisher_password")
_SAME_AS = {"slots": "max_procs"}


def load(path: Path | None = None, places: tuple[Path, ...] = PLACES) -> Config:
    """Read the file given, or else the first of `places` that can be read.

    Raises:
        ConfigurationError: with everything that is wrong.
    """
    content = _read(path) if path is not None else _first_readable(places)
    return parse(content)


def parse(content: Mapping[str, Any]) -> Config:
    """Make the configuration of the file's content; see `load`."""
    given = {_SAME_AS.get(key, key): value for key, value in content.items()}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for each in dataclasses.fields(Config):
        try:
            values[each.name] = _value(each.name, each.metadata, given)
        except (TypeError, ValueError) as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(problems)
    return Config(**values)


def _value(name: str, declared: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    value = given.get(name)
    if value is None and name in SECRETS and f"{name}_file" in given:
        value = _secret(name, given[f"{name}_file"])
    if value is None:
        if declared["default"] is REQUIRED:
            raise ValueError(f"{name} is missing: {declared['says']}")
        return declared["default"]
    try:
        return declared["parse"](value)
    except (TypeError, ValueError) as error:
        shown = "" if name in SECRETS else f" {value!r}"
        raise ValueError(f"{name}{shown} is not usable: {error}") from error


def _secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}_file {path!r} cannot be read: {error.strerror}") from error


def _first_readable(places: tuple[Path, ...]) -> Mapping[str, Any]:
    for path in places:
        if os.access(path, os.R_OK):
            return _read(path)
    named = ", ".join(str(path) for path in places)
    raise ConfigurationError([f"There is no configuration file: none of {named} can be read."])


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}."]) from error
    except ValueError as error:
        raise ConfigurationError([f"{path} is not JSON: {error}."]) from error
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path} must hold a JSON object."])
    return content
