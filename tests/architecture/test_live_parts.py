"""Parts of pages that read themselves again when something changes."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIVE = [
    line
    for template in sorted(ROOT.glob("webmon/*/templates/**/*.html"))
    for line in template.read_text(encoding="utf-8").splitlines()
    if "from:body" in line
]


def test_there_are_some() -> None:
    assert len(LIVE) > 5


@pytest.mark.parametrize("line", LIVE)
def test_a_part_stays_and_changes_what_is_in_it(line: str) -> None:
    """htmx forgets what waits for an element that was replaced: the last change would be lost."""
    assert 'hx-swap="innerHTML"' in line
    assert 'hx-sync="this:queue last"' in line
