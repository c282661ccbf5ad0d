"""Texts can be read in both themes: WCAG 2.2 AA wants 4.5:1, and 3:1 for shapes and borders."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[3] / "webmon/ui/static/ui/ui.css").read_text(encoding="utf-8")
THEMES = {
    "light": ":root {",
    "dark, chosen": ':root[data-theme="dark"] {',
    "dark, of the system": ':root:not([data-theme="light"]) {',
}
TEXTS = [
    *[(text, on) for text in ("ink", "soft", "blue", "orange") for on in ("paper", "card")],
    *[("ink", "raised"), ("soft", "raised"), ("orange", "raised")],
    *[("late", "paper"), ("late", "card"), ("card", "blue"), ("card", "orange")],
    *[("blue", "blue-wash"), ("orange", "orange-wash"), ("done", "done-wash")],
    *[("calm", "calm-wash"), ("soft", "calm-wash"), ("ink", "calm-wash"), ("calm", "card")],
]
SHAPES = [("strong-line", "card"), ("focus", "paper"), ("focus", "card"), ("orange", "hole")]


def colours(theme: str) -> dict[str, str]:
    block = CSS.split(THEMES[theme], 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_texts_can_be_read(theme: str) -> None:
    found = colours(theme)
    low = {pair: contrast(found[pair[0]], found[pair[1]]) for pair in TEXTS}
    assert {pair: round(ratio, 2) for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_shapes_can_be_seen(theme: str) -> None:
    found = colours(theme)
    low = {pair: contrast(found[pair[0]], found[pair[1]]) for pair in SHAPES}
    assert {pair: round(ratio, 2) for pair, ratio in low.items() if ratio < 3} == {}


def test_both_ways_to_the_dark_theme_are_one() -> None:
    assert colours("dark, chosen") == colours("dark, of the system")
