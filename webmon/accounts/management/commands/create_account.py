"""Make an account, or give an existing one a new role and password."""

import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from webmon.accounts.policies import SCIENTIST, UPLOADS

ROLES = {
    "admin": "everything, including the database pages",
    "scientist": "an instrument scientist",
    "user": "a person who looks at runs",
    "uploads": "a script that uploads plots; it sees no pages",
}


class Command(BaseCommand):
    help = "Make an account, or set the role and password of an existing one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=list(ROLES), required=True)
        parser.add_argument(
            "--password-file", type=Path, help="its first line; otherwise standard input is read"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        password = _password(options["password_file"])
        with transaction.atomic():
            user, made = User.objects.get_or_create(username=options["username"])
            user.set_password(password)
            _give_role(user, options["role"])
        done = "made" if made else "changed"
        self.stdout.write(f"Account {user.username} ({options['role']}) {done}.")


def _password(file: Path | None) -> str:
    try:
        text = sys.stdin.readline() if file is None else file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The password cannot be read: {error}") from error
    lines = text.splitlines()
    if not lines or not lines[0]:
        raise CommandError("The password is empty.")
    return lines[0]


def _give_role(user: User, role: str) -> None:
    user.is_superuser = user.is_staff = role == "admin"
    user.is_active = True
    user.save()
    groups = {"scientist": [SCIENTIST], "uploads": [UPLOADS]}.get(role, [])
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])
