"""Reduce one EQSANS run: I(Q) from all wavelengths, beside the detector image.

    python reduce_EQSANS.py /SNS/EQSANS/IPTS-30423/nexus/EQSANS_148201.nxs.h5 <output directory>

Q = 4π/λ sin θ for each event; I(Q) is the number of events divided by the incident neutrons
(monitor) times the solid angle that could have scattered to this Q (S. R. Kline, NIST SANS,
J. Appl. Cryst. 39 (2006) 895; P. A. Seeger and R. P. Hjelm, J. Appl. Cryst. 24 (1991) 467).
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import plotly.offline
from plot_publisher import publish_plot
from plotly.subplots import make_subplots

MICROSECONDS = 252.778  # m/h: time in µs over 1 m at 1 Å


def read_events(entry):
    """2θ (rad), distance (m) and azimuth (rad) per pixel; pixel index and time (µs) per event."""
    detector, events = entry["instrument/bank1"], entry["bank1_events"]
    pixel = events["event_id"][()].astype(int) - int(detector["pixel_id"][0])
    angles = (np.radians(detector[name][()]) for name in ("polar_angle", "azimuthal_angle"))
    return *angles, detector["distance"][()], pixel, events["event_time_offset"][()]


def incident_spectrum(monitor):
    """Wavelengths in Å and neutrons of each channel."""
    times = monitor["time_of_flight"][()]
    edges = times / (MICROSECONDS * monitor["distance"][()])
    return (edges[1:] + edges[:-1]) / 2, monitor["data"][()]


def normalise(q_events, polar, seen, waves, neutrons):
    """Q (1/Å), I(Q) and its Poisson error in even steps of log Q."""
    q = 4 * np.pi * np.sin(polar[seen, None] / 2) / waves
    solid_angle = np.cos(polar[seen, None]) ** 3
    edges = np.geomspace(q.min(), q.max(), 81)
    counts, _ = np.histogram(q_events, edges)
    possible, _ = np.histogram(q.ravel(), edges, weights=(solid_angle * neutrons).ravel())
    use = (counts > 3) & (possible > 0)
    centres, counts, possible = np.sqrt(edges[1:] * edges[:-1])[use], counts[use], possible[use]
    scale = 1e6 / possible
    return centres, counts * scale, np.sqrt(counts) * scale


def image(polar, azimuth, distance, pixel):
    """Counts on the detector's own rows and columns; positions in mm."""
    x, y = (1000 * distance * np.sin(polar) * turn(azimuth) for turn in (np.cos, np.sin))
    columns, rows = (np.unique(np.round(position, 1)) for position in (x, y))
    counts = np.zeros((rows.size, columns.size))
    place = np.searchsorted(rows, np.round(y, 1)), np.searchsorted(columns, np.round(x, 1))
    np.add.at(counts, (place[0][pixel], place[1][pixel]), 1)
    return columns, rows, counts


def figure(title, meta, picture, curve):
    """Detector image on the left, I(Q) on the right."""
    (x, y, counts), (q, intensity, error) = picture, curve
    fig = make_subplots(1, 2, column_widths=[0.44, 0.56], horizontal_spacing=0.17)
    bar = {
        "title": {"text": "counts", "side": "top"},
        "x": 0.375,
        "thickness": 10,
        "tickvals": [0, 1, 2, 3],
        "ticktext": ["1", "10", "100", "1000"],
    }
    fig.add_heatmap(
        x=x.tolist(),
        y=y.tolist(),
        z=np.round(np.log10(np.maximum(counts, 0.5)), 3).tolist(),
        colorscale="Viridis",
        colorbar=bar,
        zmin=0,
        name="detector",
        row=1,
        col=1,
        hovertemplate="x %{x:.0f} mm, y %{y:.0f} mm<br>lg counts %{z:.2f}<extra></extra>",
    )
    fig.add_scatter(
        x=q.tolist(),
        y=intensity.tolist(),
        mode="markers",
        name="I(Q)",
        showlegend=False,
        error_y={"type": "data", "array": error.tolist(), "width": 0, "thickness": 1},
        marker={"size": 4, "color": "#0072B2"},
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
    fig.update_xaxes(title_text="x (mm)", showgrid=False, constrain="domain", col=1)
    fig.update_yaxes(
        title_text="y (mm)", showgrid=False, scaleanchor="x", constrain="domain", col=1
    )
    fig.update_xaxes(title_text="Q (Å<sup>-1</sup>)", type="log", dtick=1, col=2)
    fig.update_yaxes(title_text="I(Q) (arb. units)", type="log", dtick=1, col=2)
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
    with h5py.File(data_file) as file:
        entry = file["entry"]
        run, title = int(entry["run_number"].asstr()[()]), entry["title"].asstr()[()]
        charge = entry["proton_charge"][()] / 1e9  # mC
        moderator_to_sample = -entry["instrument/moderator/distance"][()]
        beam_stop = entry["DASlogs/beamstop/value"][0] / 2000  # radius in m
        polar, azimuth, distance, pixel, times = read_events(entry)
        waves, neutrons = incident_spectrum(entry["monitor1"])
    print(f"EQSANS run {run}: {title}")
    if pixel.size == 0 or neutrons.sum() == 0:
        raise RuntimeError(f"EQSANS run {run} has no neutrons (proton charge {charge:.1f} mC)")
    wavelength = times / (MICROSECONDS * (moderator_to_sample + distance[pixel]))
    seen = distance * np.sin(polar) > beam_stop
    events = seen[pixel]
    q = 4 * np.pi * np.sin(polar[pixel] / 2) / wavelength
    curve = normalise(q[events], polar, seen, waves, neutrons)
    print(f"{pixel.size} events, wavelengths {wavelength.min():.2f} to {wavelength.max():.2f} Å")
    print(f"Q from {curve[0][0]:.4f} to {curve[0][-1]:.4f} 1/Å")
    result, record = output / f"EQSANS_{run}.dat", output / f"EQSANS_{run}.json"
    np.savetxt(result, np.column_stack(curve), fmt="%.6g", header="Q_inverse_angstrom I I_error")
    files = {"input_files": [str(data_file)], "output_files": [str(result)]}
    record.write_text(json.dumps(files, indent=2))
    meta = {
        "run_number": run,
        "total_counts": int(pixel.size),
        "proton_charge_mC": float(charge),
        "q_min": float(curve[0][0]),
        "q_max": float(curve[0][-1]),
    }
    picture = image(polar, azimuth, distance, pixel)
    fig = figure(f"EQSANS {run}: {title}", meta, picture, curve)
    options = {"output_type": "div", "include_plotlyjs": False, "config": {"responsive": True}}
    publish_plot("EQSANS", run, files={"file": plotly.offline.plot(fig, **options)})
    print(f"Wrote {result.name} and published the plot")


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
