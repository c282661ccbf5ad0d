"""A publisher that writes to the working directory what the real one would send."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.offline


def publish_plot(
    instrument: str, run_number: int, files: dict[str, str], config: str | None = None
) -> None:
    Path(f"{instrument}_{run_number}.html").write_text(files["file"])


def plot1d(
    run_number: int,
    data_list: list[list[list[float]]],
    *,
    x_title: str = "",
    y_title: str = "",
    y_log: bool = False,
    instrument: str = "",
    title: str = "",
    **_: Any,
) -> None:
    traces = [go.Scatter(x=x, y=y, error_y={"type": "data", "array": dy}) for x, y, dy in data_list]
    fig = go.Figure(traces)
    fig.update_layout(title=title, xaxis={"title": x_title}, yaxis={"title": y_title})
    fig.update_yaxes(type="log" if y_log else "linear")
    div = plotly.offline.plot(fig, output_type="div", include_plotlyjs=False)
    publish_plot(instrument, run_number, {"file": div})
