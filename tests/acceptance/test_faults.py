"""The short form of `bin/bench faults`: every part is killed at least once while runs come in."""

from collections.abc import Callable

import pytest

from benchmarks import audit as audits
from benchmarks import faults, storm
from benchmarks.audit import Audit
from benchmarks.faults import RECOVERY, Wishes
from benchmarks.nemesis import Victim
from benchmarks.storm import Announcement
from tests.facility import Facility, require, running_facility

SHORT = Wishes(runs=150, faults=8, seed=20_261_121, broker="activemq", gap=3.0)


@pytest.fixture
def plant() -> Facility:
    raise NotImplementedError
