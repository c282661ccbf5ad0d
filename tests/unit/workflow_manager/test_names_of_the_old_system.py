"""Whatever an instrument or proposal was called, here it is a name that messages may carry."""

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.moving_in.names import INSTRUMENT, PROPOSAL, names_here
from workflow_manager.protocol.codec import decode

NAMES = st.dictionaries(st.integers(1, 2**31 - 1), st.text(max_size=60))


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("REF_M", "ref_m"),
        (" hysa ", "hysa"),
        ("BL-18 / test", "bl_18_test-7"),
        ("../../etc", "etc-7"),
        ("4SANS", "x4sans-7"),
        ("", "x-7"),
        ("ÅÄÖ", "x-7"),
    ],
)
def test_instruments(there: str, here: str) -> None:
    assert names_here({7: there}, INSTRUMENT) == {7: here}


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("ipts-1", "IPTS-1"),
        ("2024-B.7", "2024-B.7"),
        ("2024 B/7", "X2024_B_7-7"),
        ("", "X-7"),
        ("A..B", "A_B-7"),
    ],
)
def test_proposals(there: str, here: str) -> None:
    assert names_here({7: there}, PROPOSAL) == {7: here}


@given(NAMES)
def test_every_name_is_one_that_messages_may_carry(names: dict[int, str]) -> None:
    instruments, proposals = names_here(names, INSTRUMENT), names_here(names, PROPOSAL)
    for number in names:
        body = {
            "instrument": instruments[number],
            "ipts": proposals[number],
            "run_number": 1,
        }
        message = decode("REDUCTION.STARTED", json.dumps(body).encode(), PurePosixPath("/"))
        assert message.instrument == instruments[number]
        assert message.proposal == proposals[number]
