"""The only reader of the environment.

A process describes what it needs as a frozen dataclass whose fields are made with `variable`;
`read` fills it, and reports everything that is missing or wrong at once, one sentence each,
before the process connects to anything.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
REQUIRED = object()


class ConfigurationError(Exception):
    """The configuration of this process is not usable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def variable(
    name: str,
    parse: Callable[[str], Any],
    says: str,
    *,
    default: Any = REQUIRED,
    secret: bool = False,
) -> Any:
    """Declare one environment variable as a field of a configuration dataclass.

    `says` is its documentation. A `secret` may also be given as a file named by `<name>_FILE`.
    """
    return dataclasses.field(
        metadata={
            "name": name,
            "parse": parse,
            "says": says,
            "default": default,
            "secret": secret,
        }
    )


def read(config: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill `config` from the environment.

    Raises:
        ConfigurationError: naming every variable that is missing or wrong.
    """
    source = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        try:
            values[field.name] = _value(field.metadata, source)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(problems)
    return config(**values)


def _value(declared: Mapping[str, Any], source: Mapping[str, str]) -> Any:
    name = declared["name"]
    text = source.get(name)
    if declared["secret"] and text is None and f"{name}_FILE" in source:
        text = _secret_from_file(name, Path(source[f"{name}_FILE"]))
    if text is None or text == "":
        if declared["default"] is REQUIRED:
            where = f" (or {name}_FILE)" if declared["secret"] else ""
            raise ValueError(f"{name}{where} is not set: {declared['says']}")
        return declared["default"]
    try:
        return declared["parse"](text)
    except ValueError as error:
        shown = "" if declared["secret"] else f" {text!r}"
        raise ValueError(f"{name}{shown} is not usable: {error}") from error


def _secret_from_file(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE {str(path)!r} cannot be read: {error.strerror}") from error


def text(value: str) -> str:
    return value


def integer(value: str) -> int:
    return int(value)


def boolean(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if value.lower() not in words:
        raise ValueError("write true or false")
    return words[value.lower()]


def names(value: str) -> tuple[str, ...]:
    """A JSON list of strings, or names separated by commas."""
    if value.lstrip().startswith("["):
        items = json.loads(value)
        if not all(isinstance(item, str) for item in items):
            raise ValueError("it must be a list of strings")
        return tuple(items)
    return tuple(name.strip() for name in value.split(",") if name.strip())


def addresses(value: str) -> tuple[tuple[str, int], ...]:
    """A JSON list of `[host, port]` pairs, in the order in which they are tried."""
    pairs = json.loads(value)
    if not isinstance(pairs, list) or not pairs:
        raise ValueError('it must be a JSON list like [["localhost", 61613]]')
    try:
        return tuple((str(host), int(port)) for host, port in pairs)
    except (TypeError, ValueError) as error:
        raise ValueError('it must be a JSON list like [["localhost", 61613]]') from error
