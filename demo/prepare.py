"""Brings database, static files and accounts up to date: one process, before the others.

Run as `python -m demo.prepare`; standard input holds {username: password} as JSON.
"""

import io
import json
import os
import sys

import django
from django.core.management import call_command


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmon.settings")
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    for name, password in json.load(sys.stdin).items():
        _create_account(name, password)


def _create_account(name: str, password: str) -> None:
    standard_input, sys.stdin = sys.stdin, io.StringIO(password + "\n")
    try:
        call_command("create_account", name, "--role", name, verbosity=0)
    finally:
        sys.stdin = standard_input


if __name__ == "__main__":
    main()
