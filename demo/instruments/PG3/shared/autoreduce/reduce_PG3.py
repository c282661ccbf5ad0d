"""Reduce one PG3 run: the powder pattern against d-spacing.

    python reduce_PG3.py /SNS/PG3/IPTS-2767/nexus/PG3_57301.nxs.h5 <output directory>

Bragg's law with λ = h t / (m L) gives d = t / (505.56 L sin θ) for t in µs, L in m, d in Å
(B. T. M. Willis and C. J. Carlile, Experimental Neutron Scattering (2009), chapter 6). The pattern
is divided by the incident neutrons, measured by the monitor, that the detectors could have seen
at each d.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from plot_publisher import plot1d

MICROSECONDS = 252.778  # m/h: time in µs over 1 m at 1 Å


def read_bank(entry, name, moderator_to_sample):
    """Events as wavelength (Å) and sin θ; and sin θ of all pixels of the bank."""
    detector, events = entry["instrument"][name], entry[f"{name}_events"]
    path = moderator_to_sample + detector["distance"][()]
    sine = np.sin(np.radians(detector["polar_angle"][()]) / 2)
    pixel = events["event_id"][()].astype(int) - int(detector["pixel_id"][0])
    wavelength = events["event_time_offset"][()] / (MICROSECONDS * path[pixel])
    return wavelength, sine[pixel], sine


def incident_spectrum(monitor):
    """Edges of wavelength in Å and neutrons per Å."""
    edges = monitor["time_of_flight"][()] / (MICROSECONDS * monitor["distance"][()])
    counts = monitor["data"][()]
    if counts.sum() == 0:
        raise RuntimeError("the monitor counted nothing: the pattern cannot be normalised")
    return edges, counts / np.diff(edges)


def visible_neutrons(d_edges, sine, waves, flux):
    """Incident neutrons that all pixels together could have seen in each bin of d."""
    running = np.concatenate([[0], np.cumsum(flux * np.diff(waves))])
    at_edges = np.interp(2 * d_edges * sine[:, None], waves, running)
    return np.diff(at_edges, axis=1).sum(axis=0)


def reduce(data_file, output):
    with h5py.File(data_file) as file:
        entry = file["entry"]
        run, title = int(entry["run_number"].asstr()[()]), entry["title"].asstr()[()]
        moderator_to_sample = -entry["instrument/moderator/distance"][()]
        names = sorted(name.removesuffix("_events") for name in entry if name.endswith("_events"))
        if not names:
            raise RuntimeError("the file holds no bank with events")
        banks = [read_bank(entry, name, moderator_to_sample) for name in names]
        waves, flux = incident_spectrum(entry["monitor1"])
    wavelength, event_sine, pixel_sine = map(np.concatenate, zip(*banks, strict=True))
    d = wavelength / (2 * event_sine)
    if d.size == 0:
        raise RuntimeError(f"PG3 run {run} has no neutrons")
    edges = np.geomspace(0.45, 4.5, 1600)
    counts, _ = np.histogram(d, edges)
    seen = visible_neutrons(edges, pixel_sine, waves, flux)
    seen = seen / np.diff(np.log(edges))  # per relative width, as resolution is
    use = seen > 0.02 * seen.max()
    centres = np.sqrt(edges[1:] * edges[:-1])[use]
    scale = seen.max() / seen[use]
    pattern, error = counts[use] * scale, np.sqrt(counts[use]) * scale
    print(f"PG3 run {run}: {title}")
    print(f"{d.size} events in {len(names)} banks, d from {centres[0]:.3f} to {centres[-1]:.3f} Å")
    print(f"Strongest peak at d = {centres[pattern.argmax()]:.4f} Å")
    result, record = output / f"PG3_{run}.dat", output / f"PG3_{run}.json"
    table = np.column_stack([centres, pattern, error])
    np.savetxt(result, table, fmt="%.6g", header="d_angstrom intensity intensity_error")
    files = {"input_files": [str(data_file)], "output_files": [str(result)]}
    record.write_text(json.dumps(files, indent=2))
    plot1d(
        run,
        [[centres.tolist(), pattern.tolist(), error.tolist()]],
        x_title="d-spacing (Å)",
        y_title="Intensity (normalised counts)",
        instrument="PG3",
        title=f"PG3 {run}: {title}",
    )
    print(f"Wrote {result.name} and published the plot")


if __name__ == "__main__":
    reduce(Path(sys.argv[1]), Path(sys.argv[2]))
