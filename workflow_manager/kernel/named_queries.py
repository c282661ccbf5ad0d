"""Hand-written SQL lives in `sql/*.sql`, every statement with a name.

A statement starts at a line `-- name: <name>`; the comment lines after it say what it is for.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load(path: Path) -> Mapping[str, str]:
    """Read the statements of one file by their names."""
    _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    return {
        name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)
    }
