"""Reduce one ARCS run: S(|Q|, E) of a powder and the energy spectrum of all detectors.

    python reduce_ARCS.py /SNS/ARCS/IPTS-27800/nexus/ARCS_214583.nxs.h5 <output directory>

Every event becomes an energy transfer E = Ei - Ef and a momentum transfer
Q² = ki² + kf² - 2 ki kf cos 2θ; the cross-section is S(Q, E) kf/ki (G. L. Squires, Introduction
to the Theory of Thermal Neutron Scattering, chapter 2), so each event weighs ki/kf.
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


def peak_time(monitor):
    """Arrival of the beam at a monitor in µs: centroid of channels above a tenth of the peak."""
    counts, edges = monitor["data"][()], monitor["time_of_flight"][()]
    if counts.max() < 20:
        raise RuntimeError(f"{monitor.name} saw no beam: the incident energy is unknown")
    high = counts > counts.max() / 10
    return np.average((edges[1:] + edges[:-1])[high] / 2, weights=counts[high])


def incident_beam(entry):
    """Speed in m/s from the flight between both monitors, and arrival at the sample in µs."""
    first, second = entry["monitor1"], entry["monitor2"]
    z1, z2 = first["distance"][()], second["distance"][()]
    t1, t2 = peak_time(first), peak_time(second)
    speed = 1e6 * (z2 - z1) / (t2 - t1)
    moderator_to_sample = -entry["instrument/moderator/distance"][()]
    return speed, t1 + 1e6 * (moderator_to_sample - z1) / speed


def read_banks(entry):
    """Per pixel: distance (m), 2θ (rad). Per event: index of the pixel, time of flight (µs)."""
    distance, polar, pixel, times = [], [], [], []
    names = sorted(name for name in entry if name.endswith("_events"))
    if not names:
        raise RuntimeError("the file holds no bank with events")
    for name in names:
        detector = entry["instrument"][name.removesuffix("_events")]
        first = detector["pixel_id"][0] - sum(map(len, distance))
        pixel.append(entry[name]["event_id"][()].astype(int) - int(first))
        times.append(entry[name]["event_time_offset"][()])
        distance.append(detector["distance"][()])
        polar.append(np.radians(detector["polar_angle"][()]))
    return tuple(map(np.concatenate, (distance, polar, pixel, times)))


def momentum(incident, transfer, polar):
    """|Q| in 1/Å for energies in meV."""
    k_i, k_f = np.sqrt(incident / ENERGY_PER_K2), np.sqrt((incident - transfer) / ENERGY_PER_K2)
    return np.sqrt(k_i**2 + k_f**2 - 2 * k_i * k_f * np.cos(polar))


def powder_map(incident, transfer, polar, pixel, e_edges):
    """S(|Q|, E): weighted events divided by the solid angle that looks at each (|Q|, E) cell."""
    q_edges = np.linspace(0, momentum(incident, e_edges[0], np.pi), 51)
    q = momentum(incident, transfer, polar[pixel])
    weight = np.sqrt(incident / (incident - transfer))  # ki/kf
    events, _, _ = np.histogram2d(q, transfer, (q_edges, e_edges), weights=weight)
    centres = (e_edges[1:] + e_edges[:-1]) / 2
    seen_q = momentum(incident, centres[None, :], polar[:, None])
    seen_e = np.broadcast_to(centres, seen_q.shape)
    coverage, _, _ = np.histogram2d(seen_q.ravel(), seen_e.ravel(), (q_edges, e_edges))
    return q_edges, np.where(coverage > 0, events / np.maximum(coverage, 1), np.nan)


def figure(title, meta, *, q_edges, e_edges, s_map, spectrum):
    """Map above, spectrum below, one axis of energy transfer."""
    e, q = (e_edges[1:] + e_edges[:-1]) / 2, (q_edges[1:] + q_edges[:-1]) / 2
    fig = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.58, 0.42]
    )
    logarithm = np.log10(np.where(s_map > 0, s_map, np.nan))
    low, high = np.nanpercentile(logarithm, (5, 99.7))
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    colours = {
        "title": {"text": "S(|Q|,E)", "side": "top"},
        "len": 0.56,
        "y": 0.72,
        "thickness": 12,
        "tickvals": ticks.tolist(),
        "ticktext": [f"10<sup>{int(t)}</sup>" for t in ticks],
    }
    fig.add_heatmap(
        x=e.tolist(),
        y=q.tolist(),
        z=np.round(logarithm, 3).tolist(),
        name="S(|Q|,E)",
        zmin=low,
        zmax=high,
        colorscale="Viridis",
        colorbar=colours,
        row=1,
        col=1,
        hovertemplate="E %{x:.1f} meV<br>|Q| %{y:.2f} Å⁻¹<br>lg S %{z:.2f}<extra></extra>",
    )
    error = {"type": "data", "array": np.sqrt(spectrum).tolist(), "width": 0, "thickness": 1}
    fig.add_scatter(
        x=e.tolist(),
        y=spectrum.tolist(),
        error_y=error,
        mode="lines+markers",
        name="all detectors",
        line={"color": "#0072B2", "width": 1},
        marker={"size": 4},
        row=2,
        col=1,
        showlegend=False,
    )
    grid = {
        "showline": True,
        "mirror": True,
        "ticks": "inside",
        "zeroline": False,
        "linecolor": "rgba(128,128,128,0.6)",
        "gridcolor": "rgba(128,128,128,0.22)",
    }
    fig.update_xaxes(range=[e_edges[0], e_edges[-1]], **grid).update_yaxes(**grid)
    fig.update_xaxes(title_text="Energy transfer E (meV)", row=2)
    fig.update_yaxes(title_text="|Q| (Å<sup>-1</sup>)", showgrid=False, row=1)
    fig.update_yaxes(
        title_text="Counts per bin", type="log", dtick=1, exponentformat="power", row=2
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
        entry = file["entry"]
        run, title = int(entry["run_number"].asstr()[()]), entry["title"].asstr()[()]
        speed, arrival = incident_beam(entry)
        distance, polar, pixel, times = read_banks(entry)
    incident = ENERGY_PER_SPEED2 * speed**2
    flight = times - arrival
    possible = flight > 0  # a neutron cannot reach the detector before the sample
    pixel, flight = pixel[possible], flight[possible]
    transfer = incident - ENERGY_PER_SPEED2 * (1e6 * distance[pixel] / flight) ** 2
    edges = np.linspace(-0.65, 0.92, 158) * incident
    counts, _ = np.histogram(transfer, edges)
    q_edges, s_map = powder_map(incident, transfer, polar, pixel, edges)
    print(f"ARCS run {run}: {title}")
    print(f"Incident energy from the monitors: {incident:.2f} meV")
    print(f"{times.size} events, {counts.sum()} within {edges[0]:.1f} .. {edges[-1]:.1f} meV")
    table = np.column_stack([(edges[1:] + edges[:-1]) / 2, counts, np.sqrt(counts)])
    result, record = output / f"ARCS_{run}.dat", output / f"ARCS_{run}.json"
    np.savetxt(result, table, fmt="%.5g", header="energy_transfer_meV counts counts_error")
    record.write_text(
        json.dumps({"input_files": [str(data_file)], "output_files": [str(result)]}, indent=2)
    )
    meta = {
        "run_number": run,
        "total_counts": int(times.size),
        "counts_in_spectrum": int(counts.sum()),
        "incident_energy_meV": round(incident, 3),
    }
    fig = figure(
        f"ARCS {run}: {title}", meta, q_edges=q_edges, e_edges=edges, s_map=s_map, spectrum=counts
    )
    options = {"output_type": "div", "include_plotlyjs": False, "config": {"responsive": True}}
    publish_plot("ARCS", run, files={"file": plotly.offline.plot(fig, **options)})
    print(f"Wrote {result.name} and published the plot")


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
