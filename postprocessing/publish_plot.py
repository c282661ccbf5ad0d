"""For reduction scripts: make a plot of arrays and publish it for its run.

    from plot_publisher import plot1d
    plot1d(run_number, [x, y, dy], x_title="Q", y_title="I(Q)", instrument="SANS")

Works in the interpreter of the script, with plotly 5, 6 or 7. Success writes nothing to stderr,
failure is an exception.
"""

import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from postprocessing.gateways import plot_server

if TYPE_CHECKING:
    import requests

VARIABLE = "WEBMON_PUBLISH_CONFIG"
PLACES = ("/etc/autoreduce/post_processing.conf", "post_processing.conf")
_WIDTH = 600
_HEIGHT_1D = 400
_HEIGHT_2D = 500
_PLOT_DIV = re.compile(r"<div(?=[^>]*\bid=)(?=[^>]*plotly-graph-div)(?![^>]*plotlyjs-version)")


@dataclass(frozen=True)
class Configuration:
    """Where to publish and as whom; the keys of the configuration file."""

    publish_url_template: str = ""
    publisher_username: str = ""
    publisher_password: str = field(default="", repr=False)
    publisher_certificate: str = ""
    verify_ssl: bool = True


def read_configuration(config_file: str | os.PathLike[str] | None = None) -> Configuration:
    """Read the first file that can be read: `config_file`, the agent's, the node's, the local one.

    Raises:
        RuntimeError: there is none.
        ValueError: it is not JSON.
    """
    places = (config_file, os.environ.get(VARIABLE), *PLACES)
    for place in places:
        if place and os.access(place, os.R_OK):
            content = json.loads(Path(place).read_text(encoding="utf-8"))
            known = Configuration.__dataclass_fields__
            return Configuration(**{key: content[key] for key in known if key in content})
    raise RuntimeError("Failed to find Configuration file")


def publish_plot(
    instrument: str,
    run_number: int | str,
    files: Mapping[str, str],
    config: Configuration | str | os.PathLike[str] | None = None,
    config_file: str | os.PathLike[str] | None = None,
) -> "requests.Response":
    """Send plots to the plot server, which keeps the newest of a run.

    Args:
        files: `{"file": text}` where the text is a `<div>` or JSON.
        config: a configuration or the path of its file; `config_file` is its older name.

    Raises:
        ValueError: an argument is not usable.
        RuntimeError: there is no configuration, or it names no server.
        requests.RequestException: the server said no or could not be reached.
    """
    if not isinstance(instrument, str) or not instrument:
        raise ValueError(f"instrument must be a name, not {instrument!r}")
    if not isinstance(files, Mapping) or not files:
        raise ValueError('files must be a dictionary like {"file": "<div>…</div>"}')
    used = config
    if not isinstance(used, Configuration):
        used = read_configuration(used or config_file)
    if not used.publish_url_template:
        raise RuntimeError("publish_url_template is not set, so there is no place to publish to")
    template = Template(used.publish_url_template)
    return plot_server.upload(
        template.substitute(instrument=instrument, run_number=str(run_number)),
        {"username": used.publisher_username, "password": used.publisher_password},
        {name: inject_plotlyjs_version(text) for name, text in files.items()},
        certificate=used.publisher_certificate,
        verify=used.verify_ssl,
    )


def inject_plotlyjs_version(html: str, version: str | None = None) -> str:
    """Write into a plot's `<div>` which plotly.js it was made for, so that a page loads that one.

    Without `version` it is that of the installed plotly; text that is no plotly plot stays.
    """
    if not _PLOT_DIV.search(html):
        return html
    wanted = version or _plotlyjs_version()
    if wanted is None:
        return html
    return _PLOT_DIV.sub(lambda found: f'{found[0]} plotlyjs-version="{wanted}"', html, count=1)


def _plotlyjs_version() -> str | None:
    try:
        offline = importlib.import_module("plotly.offline")
    except ImportError:
        return None  # the div was made elsewhere; we do not know
    return str(offline.get_plotlyjs_version())


def plot1d(  # noqa: PLR0917  (the signature that scripts know)
    run_number: int | str,
    data_list: Sequence[Any],
    data_names: Sequence[str] | None = None,
    x_title: str = "",
    y_title: str = "",
    x_log: bool = False,
    y_log: bool = False,
    instrument: str = "",
    show_dx: bool = True,
    title: str = "",
    publish: bool = True,
) -> Any:
    """Plot curves.

    Args:
        data_list: one curve `[x, y]`, `[x, y, dy]` or `[x, y, dy, dx]`, or a list of such curves;
            arrays may be lists, tuples or numpy arrays.
        data_names: one name for each curve; then there is a legend.
        publish: send it and return the server's answer; else return the `<div>`.

    Raises:
        ValueError: the data are no curves.
        as `publish_plot`.
    """
    curves = _curves(data_list)
    names = data_names if data_names is not None and len(data_names) == len(curves) else None
    traces = [
        _trace(curve, names[index] if names else "", show_dx) for index, curve in enumerate(curves)
    ]
    layout = _layout(title, _HEIGHT_1D, _axis(x_title, x_log), _axis(y_title, y_log))
    layout["showlegend"] = names is not None
    return _deliver(_div(traces, layout), instrument, run_number, publish)


def plot_heatmap(  # noqa: PLR0917  (the signature that scripts know)
    run_number: int | str,
    x: Any,
    y: Any,
    z: Any,
    x_title: str = "",
    y_title: str = "",
    surface: bool = False,
    x_log: bool = False,
    y_log: bool = False,
    instrument: str = "",
    title: str = "",
    publish: bool = True,
) -> Any:
    """Plot `z[row][column]` over `y[row]` and `x[column]`; see `plot1d` for the rest."""
    trace = {
        "type": "surface" if surface else "heatmap",
        "x": _plain(x),
        "y": _plain(y),
        "z": _plain(z),
        "autocolorscale": False,
        "hoverinfo": "x+y+z",
        "colorscale": "Viridis",
    }
    layout = _layout(title, _HEIGHT_2D, _axis(x_title, x_log), _axis(y_title, y_log))
    return _deliver(_div([trace], layout), instrument, run_number, publish)


def _deliver(div: str, instrument: str, run_number: int | str, publish: bool) -> Any:
    return publish_plot(instrument, run_number, {"file": div}) if publish else div


def _curves(data_list: Sequence[Any]) -> list[list[Any]]:
    items = list(data_list)
    if not items:
        raise ValueError("data_list is empty: there is nothing to plot")
    curves = [items] if all(_is_array(item) for item in items) else [list(item) for item in items]
    for curve in curves:
        if not 2 <= len(curve) <= 4 or not all(_is_array(part) for part in curve):
            raise ValueError("a curve must be [x, y], [x, y, dy] or [x, y, dy, dx]")
    return [[_plain(part) for part in curve] for curve in curves]


def _is_array(item: Any) -> bool:
    """Whether it is one-dimensional: its elements are numbers, not arrays."""
    if hasattr(item, "ndim"):
        return bool(item.ndim == 1)
    return hasattr(item, "__len__") and not any(hasattr(each, "__len__") for each in item)


def _plain(values: Any) -> list[Any]:
    """Lists of Python numbers: plotly would write numpy arrays as base64, which few can read."""
    if hasattr(values, "tolist"):
        return list(values.tolist())
    return [
        value.tolist() if hasattr(value, "tolist") else _plain(value) if _nests(value) else value
        for value in values
    ]


def _nests(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _trace(curve: list[Any], name: str, show_dx: bool) -> dict[str, Any]:
    trace: dict[str, Any] = {"type": "scatter", "mode": "lines+markers", "x": curve[0]}
    trace |= {"y": curve[1], "name": name}
    if len(curve) > 2:
        trace["error_y"] = {"type": "data", "array": curve[2], "visible": True}
    if len(curve) > 3:
        trace["error_x"] = {"type": "data", "array": curve[3], "visible": True}
        if not show_dx:
            trace["error_x"]["thickness"] = 0
    return trace


def _axis(title: str, log: bool) -> dict[str, Any]:
    axis = {
        "title": {"text": title},
        "zeroline": False,
        "exponentformat": "power",
        "showexponent": "all",
        "showgrid": True,
        "showline": True,
        "mirror": "all",
        "ticks": "inside",
    }
    return axis | {"type": "log"} if log else axis


def _layout(title: str, height: int, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": {"text": title},
        "width": _WIDTH,
        "height": height,
        "margin": {"t": 40, "b": 40, "l": 80, "r": 40},
        "hovermode": "closest",
        "xaxis": x,
        "yaxis": y,
    }


def _div(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    figure = importlib.import_module("plotly.graph_objects").Figure(data=traces, layout=layout)
    offline = importlib.import_module("plotly.offline")
    # Not one argument more: `show_link` is gone from plotly 7.
    text = offline.plot(figure, output_type="div", include_plotlyjs=False)
    return inject_plotlyjs_version(str(text))
