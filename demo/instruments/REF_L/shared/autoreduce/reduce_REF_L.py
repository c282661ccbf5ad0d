"""Reduce one REF_L run: specular reflectivity R(Q).

    python reduce_REF_L.py /SNS/REF_L/IPTS-33077/nexus/REF_L_214746.nxs.h5 <output directory>

Q = 4π/λ sin θ with the sample angle θ (J. Als-Nielsen and D. McMorrow, Elements of Modern X-ray
Physics (2011), chapter 3). R is the reflected spot, less the background beside it, divided by the
incident neutrons of the same wavelength, which the monitor counts with a known efficiency.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from plot_publisher import plot1d

MICROSECONDS = 252.778  # m/h: time in µs over 1 m at 1 Å
SPOT_M = 0.022  # the reflected spot: this far above and below the middle


def read_events(entry):
    """Per event: wavelength (Å) and height above the middle of the detector (m); edge height."""
    detector, events = entry["instrument/bank1"], entry["bank1_events"]
    pixel = events["event_id"][()].astype(int) - int(detector["pixel_id"][0])
    path = detector["distance"][()] - entry["instrument/moderator/distance"][()]
    polar, azimuth = (np.radians(detector[name][()]) for name in ("polar_angle", "azimuthal_angle"))
    height = detector["distance"][()] * np.sin(polar) * np.sin(azimuth)
    wavelength = events["event_time_offset"][()] / (MICROSECONDS * path[pixel])
    return wavelength, height[pixel], height


def reflectivity(wavelength, height, heights, monitor, bins):
    """Edges of λ, R and its Poisson error in each; the spot less what lies beside it."""
    waves = monitor["time_of_flight"][()] / (MICROSECONDS * monitor["distance"][()])
    edges = np.geomspace(waves[0], waves[-1], bins + 1)
    running = np.concatenate([[0], np.cumsum(monitor["data"][()])])
    incident = np.diff(np.interp(edges, waves, running)) / monitor["efficiency"][()]
    if incident.min() <= 0:
        raise RuntimeError("the monitor saw no beam at some wavelengths: no normalisation")
    inside = np.abs(height) < SPOT_M
    spot, _ = np.histogram(wavelength[inside], edges)
    beside, _ = np.histogram(wavelength[~inside], edges)
    share = np.mean(np.abs(heights) < SPOT_M) / np.mean(np.abs(heights) >= SPOT_M)
    variance = spot + share**2 * beside
    return edges, (spot - share * beside) / incident, np.sqrt(variance) / incident


def reduce(data_file, output):
    with h5py.File(data_file) as file:
        entry = file["entry"]
        run, title = int(entry["run_number"].asstr()[()]), entry["title"].asstr()[()]
        angle = np.radians(entry["DASlogs/ths/value"][0])
        wavelength, height, heights = read_events(entry)
        if wavelength.size == 0:
            raise RuntimeError(f"REF_L run {run} has no neutrons")
        edges, r, error = reflectivity(wavelength, height, heights, entry["monitor1"], bins=160)
    q = 4 * np.pi * np.sin(angle) / np.sqrt(edges[1:] * edges[:-1])
    use = r > error  # no logarithm of what is below its own uncertainty
    q, r, error = q[use][::-1], r[use][::-1], error[use][::-1]
    print(f"REF_L run {run}: {title}")
    print(f"{wavelength.size} events, angle {np.degrees(angle):.2f} degrees")
    print(f"R(Q) from Q = {q[0]:.4f} to {q[-1]:.4f} 1/Å, plateau at {np.median(r[:5]):.3f}")
    result, record = output / f"REF_L_{run}.dat", output / f"REF_L_{run}.json"
    np.savetxt(
        result, np.column_stack([q, r, error]), fmt="%.6g", header="Q_inverse_angstrom R R_error"
    )
    files = {"input_files": [str(data_file)], "output_files": [str(result)]}
    record.write_text(json.dumps(files, indent=2))
    plot1d(
        run,
        [[q.tolist(), r.tolist(), error.tolist()]],
        x_title="Q (Å<sup>-1</sup>)",
        y_title="Reflectivity R(Q)",
        y_log=True,
        instrument="REF_L",
        title=f"REF_L {run}: {title}",
    )
    print(f"Wrote {result.name} and published the plot")


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
