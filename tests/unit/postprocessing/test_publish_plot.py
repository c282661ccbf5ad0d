"""Plots of arrays, and the conversation with a plot server that is a fake."""

import json
import re
from typing import Any

import numpy
import pytest
import requests
from requests.adapters import BaseAdapter

from postprocessing.gateways.plot_server import upload
from postprocessing.publish_plot import (
    Configuration,
    inject_plotlyjs_version,
    plot1d,
    plot_heatmap,
    publish_plot,
)


def figure(div: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The traces and the layout, read from the div as a page would."""
    content = re.search(r'newPlot\(\s*"[^"]+",\s*(.*)\)', div, re.DOTALL)
    assert content is not None
    decoder = json.JSONDecoder()
    traces, end = decoder.raw_decode(content[1])
    layout, _ = decoder.raw_decode(content[1][end:].lstrip(", \n"))
    return traces, layout


@pytest.mark.parametrize(
    "data",
    [
        [[1, 2], [3.5, 4.5]],
        [[[1, 2], [3.5, 4.5]]],
        [numpy.array([1, 2]), numpy.array([3.5, 4.5])],
        [[numpy.array([1, 2]), [3.5, 4.5]]],
        numpy.array([[1, 2], [3.5, 4.5]]),
        ((1, 2), (3.5, 4.5)),
    ],
)
def test_every_way_to_write_one_curve_is_plain_numbers(data: Any) -> None:
    traces, layout = figure(plot1d(1, data, publish=False))
    assert [(trace["x"], trace["y"]) for trace in traces] == [([1, 2], [3.5, 4.5])]
    assert (layout["width"], layout["height"], layout["showlegend"]) == (600, 400, False)


def test_errors_names_and_logarithms() -> None:
    curves = [[[1], [2], [3]], [[1], [2], [3], [4]]]
    traces, layout = figure(plot1d(1, curves, ["a", "b"], y_log=True, show_dx=False, publish=False))
    assert traces[0]["error_y"]["array"] == [3]
    assert traces[1]["error_x"] == {"array": [4], "thickness": 0, "type": "data", "visible": True}
    assert layout["yaxis"]["type"] == "log"
    assert "type" not in layout["xaxis"]
    assert layout["showlegend"] is True


@pytest.mark.parametrize("data", [[], [[1, 2]], [[[1], [2], [3], [4], [5]]], [1, 2]])
def test_what_is_no_curve_is_refused(data: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        plot1d(1, data, publish=False)


def test_heatmap_and_surface() -> None:
    for surface, kind in ((False, "heatmap"), (True, "surface")):
        div = plot_heatmap(1, [1, 2], [3], numpy.ones((1, 2)), surface=surface, publish=False)
        traces, layout = figure(div)
        assert (traces[0]["type"], traces[0]["z"]) == (kind, [[1.0, 1.0]])
        assert layout["height"] == 500
        assert div.startswith('<div style="height:500px; width:600px;">')


def test_the_version_of_plotlyjs_is_written_once() -> None:
    div = '<div><div id="a" class="plotly-graph-div"></div></div>'
    marked = inject_plotlyjs_version(div, "3.0.1")
    assert marked.count('plotlyjs-version="3.0.1"') == 1
    assert inject_plotlyjs_version(marked, "4") == marked
    assert inject_plotlyjs_version('{"json": 1}', "4") == '{"json": 1}'


class PlotServer(BaseAdapter):
    """Answers with the given statuses, one after the other."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self._statuses = list(statuses)
        self.bodies: list[bytes] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        assert isinstance(request.body, bytes)
        self.bodies.append(request.body)
        answer = requests.Response()
        answer.status_code = self._statuses.pop(0)
        answer.reason = "Because"
        answer._content = b"no room"
        answer.request = request
        return answer

    def close(self) -> None:
        """Nothing to let go of."""


def send_to(server: PlotServer) -> requests.Response:
    return upload(
        "https://plots/x/", {"username": "me"}, {"file": "<div>"}, pauses=(0, 0), adapter=server
    )


def test_a_failing_server_is_asked_three_times() -> None:
    server = PlotServer(500, 503, 200)
    assert send_to(server).status_code == 200
    assert len(server.bodies) == 3
    assert b'name="file"; filename="file"' in server.bodies[0]
    assert b'name="username"\r\n\r\nme' in server.bodies[0]


@pytest.mark.parametrize(("statuses", "asked"), [((400, 200), 1), ((500, 500, 500), 3)])
def test_a_refusal_is_an_exception_with_the_servers_text(
    statuses: tuple[int, ...], asked: int
) -> None:
    server = PlotServer(*statuses)
    with pytest.raises(requests.HTTPError, match=f"answered {statuses[0]} Because .* no room"):
        send_to(server)
    assert len(server.bodies) == asked


def test_what_cannot_be_published_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="instrument"):
        publish_plot("", 1, {"file": "x"}, Configuration())
    with pytest.raises(ValueError, match="files"):
        publish_plot("X", 1, {}, Configuration())
    with pytest.raises(RuntimeError, match="publish_url_template"):
        publish_plot("X", 1, {"file": "x"}, Configuration())
