"""REF_L: specular reflectivity of a nickel film on silicon, one angle, a band of wavelengths.

Recursion of L. G. Parratt, Phys. Rev. 95 (1954) 359, with the roughness factor of L. Névot and
P. Croce, Rev. Phys. Appl. 15 (1980) 761; scattering length densities in 1/Å².
"""

import numpy as np
import numpy.typing as npt

from demo.simulator.measurement import Bank, Measurement, Monitor, Pixels, Plan
from demo.simulator.neutron import Array, maxwellian, time_of_flight

MODERATOR_TO_SAMPLE = 13.63
SAMPLE_TO_DETECTOR = 1.83
MONITOR_DISTANCE = 12.9
MONITOR_EFFICIENCY = 0.2
BAND = (2.5, 14.5)  # Å
NICKEL, SILICON = 9.408e-6, 2.074e-6
SIDE = 32
BACKGROUND_SHARE = 0.002


def reflectivity(q: Array, thickness: float, roughness: float) -> Array:
    """R(Q) of air | nickel | silicon; Q in 1/Å, lengths in Å."""
    densities = np.array([0.0, NICKEL, SILICON])
    k = np.sqrt((q / 2) ** 2 - 4 * np.pi * densities[:, None] + 0j)
    surface, interface = (
        (k[i] - k[i + 1]) / (k[i] + k[i + 1]) * np.exp(-2 * k[i] * k[i + 1] * roughness**2)
        for i in (0, 1)
    )
    phase = np.exp(2j * k[1] * thickness)
    amplitude = (surface + interface * phase) / (1 + surface * interface * phase)
    return np.asarray(np.abs(amplitude) ** 2)


def pixels() -> Pixels:
    """32 x 32 pixels of 5 mm around the reflected beam."""
    place = (np.arange(SIDE) - (SIDE - 1) / 2) * 0.005
    across, up = (grid.ravel() for grid in np.meshgrid(place, place))
    radius = np.hypot(across, up)
    distance = np.hypot(SAMPLE_TO_DETECTOR, radius)
    return Pixels(distance, np.arctan(radius / SAMPLE_TO_DETECTOR), np.arctan2(up, across))


def measure(plan: Plan, rng: np.random.Generator) -> Measurement:
    """A reflected spot on an even background, and a monitor in the incident beam."""
    edges = np.geomspace(*BAND, 401)
    wavelength = (edges[1:] + edges[:-1]) / 2
    incident = maxwellian(wavelength) * np.diff(edges)
    q = 4 * np.pi * np.sin(np.radians(plan.physics["angle"])) / wavelength
    reflected = incident * reflectivity(q, plan.physics["thickness"], plan.physics["roughness"])
    scale = plan.events / reflected.sum()
    waves = _spread(rng.poisson(reflected * scale), edges, rng)
    column = rng.normal(15.5, 3.0, waves.size)
    row = rng.normal(15.5, 1.0, waves.size)
    spot = (np.clip(np.rint(v), 0, SIDE - 1).astype(np.int64) for v in (row, column))
    across, up = spot
    rest = _spread(
        rng.poisson(incident * plan.events * BACKGROUND_SHARE / incident.sum()), edges, rng
    )
    pixel = np.concatenate([across * SIDE + up, rng.integers(0, SIDE**2, rest.size)])
    waves = np.concatenate([waves, rest])
    bank = pixels()
    times = time_of_flight(MODERATOR_TO_SAMPLE + bank.distance[pixel], waves)
    monitor = Monitor(
        "monitor1",
        MONITOR_DISTANCE,
        time_of_flight(MONITOR_DISTANCE, edges),
        rng.poisson(incident * scale * MONITOR_EFFICIENCY),
        MONITOR_EFFICIENCY,
    )
    settings = {"ths": (plan.physics["angle"], "degree")}
    events = Bank("bank1", bank, pixel, times)
    return Measurement(MODERATOR_TO_SAMPLE, (events,), (monitor,), settings)


def _spread(counts: npt.NDArray[np.int64], edges: Array, rng: np.random.Generator) -> Array:
    column = np.repeat(np.arange(counts.size), counts)
    low, high = edges[column], edges[column + 1]
    return np.asarray(low + (high - low) * rng.random(column.size))
