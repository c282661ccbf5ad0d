"""What may be stored, and as what."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livedata.domain.addresses import number
from livedata.domain.content import (
    HTML,
    JSON,
    ContentError,
    data_type,
    decoded,
    expiry,
    parsed,
    portable,
)


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (None, "<div>plot</div>", HTML),
        ("", "<div>plot</div>", HTML),
        (None, '{"a": 1}', JSON),
        ("1", " <div>", HTML),
        ("0", "[1]", JSON),
        ("101", "<div>live</div>", 101),
    ],
)
def test_the_type_is_declared_or_seen(declared: str | None, text: str, expected: int) -> None:
    assert data_type(declared, text) == expected


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("html", "<div>"),
        ("-1", "<div>"),
        ("2147483648", "<div>"),
        ("\u0661", "<div>"),
        (None, " <div>"),
        (None, "<DIV>"),
        (None, ""),
        ("0", "<div>"),
        (None, '{"data": [1, 2'),
        (None, "[" * 100_000),
        (None, "9" * 10_000),
    ],
)
def test_what_cannot_be_stored_is_said(declared: str | None, text: str) -> None:
    with pytest.raises(ContentError):
        data_type(declared, text)


def test_text_is_utf8() -> None:
    assert decoded("é".encode()) == "é"
    with pytest.raises(ContentError, match="byte 1"):
        decoded(b"a\xe9")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T10:00:00Z", datetime(2030, 1, 31, 10, tzinfo=UTC)),
        ("2030-01-31T10:00:00+02:00", datetime(2030, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_expiry_is_an_instant(declared: str, expected: datetime) -> None:
    assert expiry(declared) == expected


@pytest.mark.parametrize("declared", ["soon", "2030-13-01", "0001-01-01T00:00:00+23:00"])
def test_no_date_is_said(declared: str) -> None:
    with pytest.raises(ContentError, match="no ISO date"):
        expiry(declared)


def test_numbers_that_json_does_not_have_become_null() -> None:
    assert portable('{"a": [1, NaN, -Infinity, 1e999]}') == '{"a": [1, null, null, null]}'
    assert portable('"é"') == '"\\u00e9"'


@given(st.text())
def test_any_text_is_json_or_refused(text: str) -> None:
    try:
        parsed(text)
    except ContentError:
        return
    json.loads(portable(text))


def test_numbers_of_addresses_fit_the_database() -> None:
    assert number("007") == 7
    assert number("0") == 0
    assert number(str(2**63 - 1)) == 2**63 - 1
    assert number(str(2**63)) is None
    assert number("9" * 10_000) is None
    assert number("\u0667") is None
