"""Which processes a program has left: asked of the kernel both ways that it may offer."""

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from postprocessing.execution.limits import descendants
from tests.integration.postprocessing.facility import wait_until

FAMILY = "sh -c 'sleep 60 & sleep 60 & wait' & wait"


@pytest.fixture
def family() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sh", "-c", FAMILY]) as parent:
        head = psutil.Process(parent.pid)
        wait_until(lambda: len(head.children(recursive=True)) == 3)
        members = head.children(recursive=True)
        yield head
        for member in (head, *members):
            member.kill()


@pytest.mark.parametrize("ask_children", [True, False])
def test_children_and_theirs_are_found_parents_first(
    family: psutil.Process, ask_children: bool
) -> None:
    found = descendants(family.pid, ask_children=ask_children)
    (child,) = family.children()
    assert found[0] == child.pid
    assert set(found[1:]) == {each.pid for each in child.children()}


@pytest.mark.parametrize("ask_children", [True, False])
def test_who_is_gone_has_no_children(ask_children: bool) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    assert descendants(gone.pid, ask_children=ask_children) == []
