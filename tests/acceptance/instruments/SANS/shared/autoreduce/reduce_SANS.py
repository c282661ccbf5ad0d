"""Reduce a run of SANS-I (SINQ, PSI): I(Q) by azimuthal average, beside the detector image.

Q = 4π/λ sin(θ), 2θ = arctan(r / L): NIST SANS, S. R. Kline, J. Appl. Cryst. 39 (2006) 895.
The detector has 128 x 128 cells of 7.5 mm (96 x 96 cm²: J. Kohlbrecher and W. Wagner, J. Appl.
Cryst. 33 (2000) 804); the file counts cells without units. `x_position` is already the user's
sample-to-detector distance: `x_null` is the zero of the motor, which the control system has taken
off. In this file columns run along x and rows along y: only so do the rings close around the
beam centre.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import plotly.offline
from plot_publisher import publish_plot
from plotly.subplots import make_subplots

CELL_MM = 7.5
BORDER = 3  # cells at the rim see only part of a neutron's charge


def value(group, name, units):
    """A number of the file, in the units that the formulas need."""
    found = group[name].attrs.get("units", b"").decode()
    if found != units:
        raise RuntimeError(f"{group.name}/{name} is in {found or 'no units'}, not in {units}")
    return float(group[name][0])


def beam_stop_radius(counts, centre, radius):
    """Radius in cells of the circle around the beam stop's shadow: dark cells joined to it."""
    dark = counts < counts.max() / 20
    shadow = np.zeros_like(dark)
    shadow[round(centre[1]), round(centre[0])] = True
    while True:
        grown = shadow.copy()
        for axis in (0, 1):
            grown |= np.roll(shadow, 1, axis) | np.roll(shadow, -1, axis)
        grown &= dark
        if (grown == shadow).all():
            break
        shadow = grown
    if not shadow.any() or shadow.mean() > 0.05:
        raise RuntimeError("no shadow of a beam stop around the beam centre")
    return float(radius[shadow].max()) + 0.5


def azimuthal_average(counts, q, use, bins):
    """Q, mean counts per cell and its Poisson error in even steps of log Q; empty bins left out."""
    edges = np.geomspace(q[use].min(), q[use].max() * 1.0001, bins + 1)
    cells, _ = np.histogram(q[use], edges)
    total, _ = np.histogram(q[use], edges, weights=counts[use])
    mean_q, _ = np.histogram(q[use], edges, weights=q[use])
    full = (cells > 0) & (total > 0)
    cells, total = cells[full], total[full]
    return mean_q[full] / cells, total / cells, np.sqrt(total) / cells


def figure(title, meta, counts, curve):
    """Detector image on the left, I(Q) on the right."""
    q, intensity, error = curve
    fig = make_subplots(1, 2, column_widths=[0.44, 0.56], horizontal_spacing=0.17)
    image = np.round(np.log10(np.maximum(counts, 0.5)), 3)
    bar = {
        "title": {"text": "counts", "side": "top"},
        "x": 0.375,
        "thickness": 10,
        "tickvals": [0, 1, 2, 3],
        "ticktext": ["1", "10", "100", "1000"],
    }
    fig.add_heatmap(
        z=image.tolist(),
        colorscale="Viridis",
        colorbar=bar,
        zmin=0,
        name="detector",
        hovertemplate="x %{x}, y %{y}<br>lg counts %{z:.2f}<extra></extra>",
        row=1,
        col=1,
    )
    fig.add_scatter(
        x=q.tolist(),
        y=intensity.tolist(),
        mode="lines+markers",
        name="I(Q)",
        error_y={"type": "data", "array": error.tolist(), "width": 0, "thickness": 1},
        line={"color": "#0072B2", "width": 1},
        marker={"size": 5},
        showlegend=False,
        row=1,
        col=2,
    )
    grid = {
        "showline": True,
        "mirror": True,
        "ticks": "inside",
        "zeroline": False,
        "exponentformat": "power",
        "linecolor": "rgba(128,128,128,0.6)",
        "gridcolor": "rgba(128,128,128,0.22)",
    }
    fig.update_xaxes(**grid).update_yaxes(**grid)
    fig.update_xaxes(title_text="x (cells)", showgrid=False, constrain="domain", col=1)
    fig.update_yaxes(
        title_text="y (cells)", showgrid=False, scaleanchor="x", constrain="domain", col=1
    )
    fig.update_xaxes(title_text="Q (Å<sup>-1</sup>)", type="log", col=2, dtick="D2")
    fig.update_yaxes(title_text="I(Q) (counts per cell)", type="log", col=2)
    fig.update_layout(
        title={"text": title, "font": {"size": 15}},
        meta=meta,
        autosize=True,
        height=420,
        template="none",
        margin={"l": 60, "r": 20, "t": 50, "b": 55},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return fig


def reduce(data_file, output):
    run = int(data_file.name.split("_")[1].split(".")[0])  # the file does not hold its number
    with h5py.File(data_file) as file:
        entry = file["entry1"]
        title = f"{entry['title'].asstr()[0]}, {entry['sample/name'].asstr()[0]}"
        detector = entry["SANS/detector"]
        counts = detector["counts"][()].astype(float)
        centre = float(detector["beam_center_x"][0]), float(detector["beam_center_y"][0])
        distance = value(detector, "x_position", "mm")
        wavelength = 10 * value(entry["SANS/Dornier-VS"], "lambda", "nm")  # Å
    y, x = np.mgrid[: counts.shape[0], : counts.shape[1]]
    radius = np.hypot(x - centre[0], y - centre[1])
    q = 4 * np.pi / wavelength * np.sin(np.arctan(CELL_MM * radius / distance) / 2)
    stop = beam_stop_radius(counts, centre, radius)
    inside = (np.minimum(x, y) >= BORDER) & (np.maximum(x, y) < counts.shape[0] - BORDER)
    curve = azimuthal_average(counts, q, inside & (radius > stop), bins=40)
    print(f"SANS run {run}: {title}")
    print(f"Wavelength {wavelength:.3f} Å, detector at {distance / 1000:.3f} m")
    print(f"Beam stop: {stop:.1f} cells; Q from {curve[0][0]:.4f} to {curve[0][-1]:.4f} 1/Å")
    result, record = output / f"SANS_{run}.dat", output / f"SANS_{run}.json"
    np.savetxt(
        result,
        np.column_stack(curve),
        fmt="%.6g",
        header="Q_inverse_angstrom I_counts_per_cell I_error",
    )
    files = {"input_files": [str(data_file)], "output_files": [str(result)]}
    record.write_text(json.dumps(files, indent=2))
    meta = {
        "run_number": run,
        "total_counts": int(counts.sum()),
        "wavelength_angstrom": round(wavelength, 4),
        "detector_distance_m": round(distance / 1000, 4),
        "beam_stop_radius_cells": round(stop, 2),
        "q_min": float(curve[0][0]),
        "q_max": float(curve[0][-1]),
    }
    fig = figure(f"SANS {run}: {title}", meta, counts, curve)
    options = {"output_type": "div", "include_plotlyjs": False, "config": {"responsive": True}}
    publish_plot("SANS", run, files={"file": plotly.offline.plot(fig, **options)})


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
