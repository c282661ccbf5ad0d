"""Plotly figures in uploaded texts.

Uploads may be hostile, so nothing of them is executed or shown as it is: the figures are read as
JSON out of the calls of `Plotly.newPlot`, and pages draw these with their own plotly.js.
"""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST_FIGURES = 50
MOST_DEPTH = 100

_CALL = re.compile(r"\bPlotly\.(?:newPlot|react|plot)\s*\(")
# The element: a quoted id, a name, or a call with a quoted id.
_ELEMENT = re.compile(
    r"""\s*(?:"[^"]*"|'[^']*'|[\w.$]+(?:\(\s*(?:"[^"]*"|'[^']*')\s*\))?)\s*,\s*"""
)
_COMMA = re.compile(r"\s*,\s*(?=\{)")
_END = re.compile(r"\s*[,)]")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)

# Options that only change how a plot behaves; the others can name servers and scripts.
_HARMLESS_OPTIONS = frozenset(
    {
        "autosizable",
        "displayModeBar",
        "displaylogo",
        "doubleClick",
        "editable",
        "fillFrame",
        "frameMargins",
        "modeBarButtonsToRemove",
        "responsive",
        "scrollZoom",
        "showAxisDragHandles",
        "showAxisRangeEntryBoxes",
        "showTips",
        "staticPlot",
        "toImageButtonOptions",
        "typesetMath",
    }
)
_HREF = re.compile(r"""(href\s*=\s*)("[^"]*"|'[^']*'|[^\s>"']+|["'][^>]*)""", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:")
_GOOD_SCHEMES = frozenset({"http:", "https:", "mailto:"})
_BAD_SCHEMES = ("javascript:", "vbscript:", "data:text/html", "data:image/svg")
_INFINITIES = (float("inf"), float("-inf"))
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


class NoFigureError(ValueError):
    """The text has no Plotly figure that can be drawn; the message says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What plotly.js draws: traces, layout and options."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    config: dict[str, Any]


def figures(text: str) -> list[Figure]:
    """All figures of an uploaded text, in their order; at least one.

    Raises:
        NoFigureError: there is none, or one of them is broken: a part is never shown as the whole.
    """
    try:
        if text.lstrip().startswith(("{", "[")):
            return _from_json(text)
        found = [_figure(*values) for values in _calls(text)]
    except RecursionError as error:
        raise NoFigureError("The figure is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise NoFigureError(f"The figure is not complete JSON: {error}.") from error
    if not found:
        raise NoFigureError("The page has no call of Plotly.newPlot with a figure in it.")
    return found


def _from_json(text: str) -> list[Figure]:
    value = _DECODER.decode(text)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise NoFigureError("The JSON is an empty list.")
    if len(values) > MOST_FIGURES:
        raise NoFigureError(f"The JSON has more than {MOST_FIGURES} entries.")
    return [_figure(item, {}, {}) for item in values]


def _calls(text: str) -> Iterator[tuple[Any, Any, Any]]:
    """The data, layout and options of each call; calls with variables have nothing to read."""
    number = 0
    for call in _CALL.finditer(text):
        element = _ELEMENT.match(text, call.end())
        if element is None or text[element.end() : element.end() + 1] not in ("[", "{"):
            continue
        number += 1
        if number > MOST_FIGURES:
            raise NoFigureError(f"The page has more than {MOST_FIGURES} figures.")
        data, end = _DECODER.raw_decode(text, element.end())
        layout, end = _next_object(text, end)
        config, end = _next_object(text, end)
        if _END.match(text, end) is None:
            raise NoFigureError("A call of Plotly.newPlot is cut off.")
        yield data, layout, config


def _next_object(text: str, end: int) -> tuple[Any, int]:
    comma = _COMMA.match(text, end)
    return _DECODER.raw_decode(text, comma.end()) if comma else ({}, end)


def _figure(data: Any, layout: Any, config: Any) -> Figure:
    if isinstance(data, dict):
        data, layout, config = data.get("data"), data.get("layout"), data.get("config")
    if not isinstance(data, list):
        raise NoFigureError("The JSON has no list `data`, so it is no Plotly figure.")
    if not all(isinstance(trace, dict) for trace in data):
        raise NoFigureError("A trace of the figure is not a JSON object.")
    options = config if isinstance(config, dict) else {}
    return Figure(
        _harmless(data),
        _harmless(layout if isinstance(layout, dict) else {}),
        _harmless({name: options[name] for name in options if name in _HARMLESS_OPTIONS}),
    )


def _harmless(value: Any, depth: int = 0) -> Any:
    """The same value without links that run scripts."""
    if isinstance(value, str):
        return _harmless_text(value)
    if isinstance(value, list | dict) and depth > MOST_DEPTH:
        raise NoFigureError("The figure is nested too deeply.")
    if isinstance(value, list):
        return [_harmless(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {name: _harmless(item, depth + 1) for name, item in value.items()}
    # JSON has no infinity, but 1e999 becomes one.
    return None if value in _INFINITIES else value


def _harmless_text(text: str) -> str:
    if ":" not in text and "&" not in text:
        return text
    if _BLANKS.sub("", text[:1000]).lower().startswith(_BAD_SCHEMES):
        return ""
    return _HREF.sub(_harmless_link, text) if "<" in text else text


def _harmless_link(link: re.Match[str]) -> str:
    target = _BLANKS.sub("", html.unescape(link[2].strip("\"'"))).lower()
    scheme = _SCHEME.match(target)
    if scheme is None or scheme[0] in _GOOD_SCHEMES:
        return link[0]
    return f'{link[1]}"#"'
