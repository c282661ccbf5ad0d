"""Reduce a run of the chopper spectrometer LRMECS (IPNS): S(|Q|, E) and the summed spectrum.

The incident energy follows from the flight between both beam monitors; time channels of each
detector are redistributed to even bins of energy transfer E = Ei - Ef in proportion to their
overlap, so that no count is lost. Q² = ki² + kf² - 2 ki kf cos φ and the cross-section contains
kf/ki: G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering, chapter 2.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import plotly.offline
from plot_publisher import publish_plot
from plotly.subplots import make_subplots

ENERGY_PER_SPEED2 = 5.227038e-6  # m/2: meV / (m/s)²
ENERGY_PER_K2 = 2.072125  # ħ²/2m: meV Å²


def value(group, name, units):
    """A dataset in the units that the formulas need."""
    if name not in group:
        raise RuntimeError(f"{group.name} has no {name}")
    found = group[name].attrs.get("units", b"").decode()
    if found != units:
        raise RuntimeError(f"{group.name}/{name} is in {found or 'no units'}, not in {units}")
    return group[name][()]


def peak_time(monitor):
    """Arrival of the beam in µs: centroid of the neighbours of the peak above a fifth of it."""
    counts, edges = monitor["data"][()], value(monitor, "time_of_flight", "microseconds")
    low = counts < counts.max() / 5
    top = int(counts.argmax())
    first = top - int(np.argmax(low[top::-1])) + 1
    peak = slice(first, top + int(np.argmax(low[top:])))
    return np.average((edges[1:] + edges[:-1])[peak] / 2, weights=counts[peak])


def incident_beam(entry):
    """Speed in m/s, and arrival at the sample (which is at distance 0) in µs."""
    z1, z2 = (value(entry[m], "distance", "m")[0] for m in ("monitor1", "monitor2"))
    t1, t2 = peak_time(entry["monitor1"]), peak_time(entry["monitor2"])
    speed = 1e6 * (z2 - z1) / (t2 - t1)
    return speed, t1 - 1e6 * z1 / speed


def rebin(counts, old_edges, new_edges):
    """Counts moved to other edges, each old bin shared out by overlap; the sum stays."""
    running = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(np.interp(new_edges, old_edges, running))


def spectra(entry, speed, arrival):
    """Edges of energy transfer (1 meV steps) and counts (detector, bin)."""
    times = value(entry["data"], "time_of_flight", "microseconds")
    distance = value(entry["instrument/detector"], "distance", "m")
    if times[0] <= arrival:
        raise RuntimeError("time channels begin before the neutrons reach the sample")
    final = ENERGY_PER_SPEED2 * (1e6 * distance[:, None] / (times - arrival)) ** 2
    transfer = ENERGY_PER_SPEED2 * speed**2 - final
    edges = np.arange(np.floor(transfer.min()), np.ceil(transfer.max()) + 1)
    rows = zip(entry["data/data"][()], transfer, strict=True)
    return edges, np.array([rebin(counts, old, edges) for counts, old in rows])


def powder_map(incident, edges, counts, angle):
    """Edges of |Q| and ki/kf-weighted counts per working detector in each (|Q|, E) cell."""
    transfer = (edges[1:] + edges[:-1]) / 2
    final = np.clip(incident - transfer, 1e-3, None)
    k_i, k_f = np.sqrt(incident / ENERGY_PER_K2), np.sqrt(final / ENERGY_PER_K2)
    q = np.sqrt(k_i**2 + k_f**2 - 2 * k_i * k_f * np.cos(np.radians(angle))[:, None])
    works = counts.sum(axis=1) > 0
    e = np.broadcast_to(transfer, q.shape)[works].ravel()
    q, weighted = q[works].ravel(), (counts * k_i / k_f)[works].ravel()
    bins = (np.linspace(0, q.max(), 61), edges)
    total, q_edges, _ = np.histogram2d(q, e, bins, weights=weighted)
    detectors, _, _ = np.histogram2d(q, e, bins)
    return q_edges, np.where(detectors > 0, total / np.maximum(detectors, 1), np.nan)


def figure(title, meta, *, edges, q_edges, s_map, spectrum):
    """Map above, spectrum below, one axis of energy transfer."""
    e, q = (edges[1:] + edges[:-1]) / 2, (q_edges[1:] + q_edges[:-1]) / 2
    logarithm = np.log10(np.where(s_map > 0, s_map, np.nan))
    low, high = np.nanpercentile(logarithm, (20, 99.8))
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    bar = {
        "title": {"text": "S(|Q|,E)", "side": "top"},
        "len": 0.56,
        "y": 0.72,
        "thickness": 12,
        "tickvals": ticks.tolist(),
        "ticktext": [f"10<sup>{int(t)}</sup>" for t in ticks],
    }
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.58, 0.42])
    fig.add_heatmap(
        x=e.tolist(),
        y=q.tolist(),
        z=np.round(logarithm, 3).tolist(),
        name="S(|Q|,E)",
        zmin=low,
        zmax=high,
        colorscale="Viridis",
        colorbar=bar,
        row=1,
        col=1,
        hovertemplate="E %{x} meV<br>|Q| %{y:.2f} Å⁻¹<br>lg S %{z:.2f}<extra></extra>",
    )
    fig.add_scatter(
        x=e.tolist(),
        y=spectrum.tolist(),
        mode="lines",
        name="all detectors",
        error_y={"type": "data", "array": np.sqrt(spectrum).tolist(), "width": 0, "thickness": 1},
        line={"color": "#0072B2", "width": 1.3, "shape": "hvh"},
        showlegend=False,
        row=2,
        col=1,
    )
    grid = {
        "showline": True,
        "mirror": True,
        "ticks": "inside",
        "zeroline": False,
        "linecolor": "rgba(128,128,128,0.6)",
        "gridcolor": "rgba(128,128,128,0.22)",
    }
    fig.update_xaxes(range=[edges[0], edges[-1]], **grid).update_yaxes(**grid)
    fig.update_xaxes(title_text="Energy transfer E (meV)", row=2)
    fig.update_yaxes(title_text="|Q| (Å<sup>-1</sup>)", showgrid=False, row=1)
    fig.update_yaxes(
        title_text="Counts per meV", type="log", dtick=1, exponentformat="power", row=2
    )
    fig.update_layout(
        title={"text": title, "font": {"size": 15}},
        meta=meta,
        autosize=True,
        height=620,
        template="none",
        margin={"l": 70, "r": 20, "t": 50, "b": 55},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return fig


def reduce(data_file, output):
    with h5py.File(data_file) as file:
        entry = file["Histogram1"]
        run, title = int(entry["run_number"][0]), entry["title"].asstr()[0]
        total = int(entry["data/data"][()].sum())
        angle = value(entry["data"], "polar_angle", "degrees")
        speed, arrival = incident_beam(entry)
        edges, counts = spectra(entry, speed, arrival)
    incident, spectrum = ENERGY_PER_SPEED2 * speed**2, counts.sum(axis=0)
    transfer = (edges[1:] + edges[:-1]) / 2
    near = np.abs(transfer) < 8
    elastic = np.average(transfer[near], weights=spectrum[near])
    print(f"LRMECS run {run}: {title}")
    print(
        f"Incident energy from the monitors: {incident:.2f} meV, elastic line at {elastic:.2f} meV"
    )
    print(f"{total} counts in {len(counts)} detectors, {spectrum.sum():.1f} in the spectrum")
    q_edges, s_map = powder_map(incident, edges, counts, angle)
    result, record = output / f"LRMECS_{run}.dat", output / f"LRMECS_{run}.json"
    table = np.column_stack([transfer, spectrum, np.sqrt(spectrum)])
    np.savetxt(result, table, fmt="%.6g", header="energy_transfer_meV counts counts_error")
    files = {"input_files": [str(data_file)], "output_files": [str(result)]}
    record.write_text(json.dumps(files, indent=2))
    meta = {
        "run_number": run,
        "total_counts": total,
        "incident_energy_meV": round(incident, 3),
        "elastic_line_meV": round(elastic, 3),
        "detectors": len(counts),
    }
    fig = figure(
        f"LRMECS {run}: {title}", meta, edges=edges, q_edges=q_edges, s_map=s_map, spectrum=spectrum
    )
    options = {"output_type": "div", "include_plotlyjs": False, "config": {"responsive": True}}
    publish_plot("LRMECS", run, files={"file": plotly.offline.plot(fig, **options)})


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
