"""The name under which reduction scripts know the plot publisher."""

from postprocessing.publish_plot import (
    Configuration,
    inject_plotlyjs_version,
    plot1d,
    plot_heatmap,
    publish_plot,
    read_configuration,
)

__all__ = [
    "Configuration",
    "inject_plotlyjs_version",
    "plot1d",
    "plot_heatmap",
    "publish_plot",
    "read_configuration",
]
