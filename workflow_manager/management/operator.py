"""Who runs a command."""

import getpass
import os


def own_name() -> str:
    """The account's name, or its number: in a container there may be no more."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
