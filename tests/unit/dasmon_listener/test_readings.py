"""What is kept of a value that came as text."""

import pytest

from dasmon_listener.domain.readings import canonical, read


@pytest.mark.parametrize(
    ("came", "number", "text"),
    [
        ("90210.4", "90210.4", None),
        ("0", "0", None),
        ("-1.5e-07", "-1.5e-07", None),
        ("3.03988e+10", "30398800000", "3.03988e+10"),
        ("27.0", "27", "27.0"),
        (" 5", "5", " 5"),
        ("nan", "NaN", "nan"),
        ("-inf", "-Infinity", "-inf"),
        ("1e400", "Infinity", "1e400"),
        ("12345678901234567890", "1.2345678901234567e+19", "12345678901234567890"),
        ("True", None, "True"),
        ("", None, ""),
        ("1_000", None, "1_000"),
        ("٣", None, "٣"),
        ("[1, 2]", None, "[1, 2]"),
        (None, None, None),
    ],
)
def test_a_number_keeps_its_text_where_it_was_written_otherwise(
    came: str | None, number: str | None, text: str | None
) -> None:
    assert read(came) == (number, text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999999999999999.0, "999999999999999"),
        (1e15, "1e+15"),
        (-1234567890123456.0, "-1.234567890123456e+15"),
        (1e16, "1e+16"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-0.0, "-0"),
    ],
)
def test_numbers_are_written_as_postgresql_does(number: float, text: str) -> None:
    assert canonical(number) == text
