"""A pytest plugin: a real PostgreSQL before Django reads its settings, gone afterwards.

It is loaded with `-p tests.services` (see pyproject.toml), because a conftest.py comes too late.
"""

from tests.postgres import provide

provide()
