"""PG3: powder diffraction of cubic crystals at a time-of-flight diffractometer.

Bragg's law λ = 2 d sin θ gives t[µs] = 505.56 L[m] d[Å] sin θ; the intensity of a reflection is
multiplicity · |F|² · d⁴ · sin θ · flux(λ) (B. T. M. Willis and C. J. Carlile, Experimental Neutron
Scattering (2009), chapter 6).
"""

from itertools import product

import numpy as np
import numpy.typing as npt

from demo.simulator.measurement import Bank, Measurement, Monitor, Pixels, Plan, draw
from demo.simulator.neutron import Array, maxwellian, time_of_flight

MODERATOR_TO_SAMPLE = 60.0
MONITOR_DISTANCE = 58.5
BAND = (0.8, 1.867)  # Å
BACKGROUND_SHARE = 0.3
# scattering length in fm and positions of the atoms of a cell
_FCC = ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
_X = 0.1996
_BORON = (
    (_X, 0.5, 0.5),
    (1 - _X, 0.5, 0.5),
    (0.5, _X, 0.5),
    (0.5, 1 - _X, 0.5),
    (0.5, 0.5, _X),
    (0.5, 0.5, 1 - _X),
)
Atoms = tuple[tuple[float, tuple[tuple[float, ...], ...]], ...]
CRYSTALS: dict[str, Atoms] = {
    "Si": ((4.1491, _FCC + tuple((x + 0.25, y + 0.25, z + 0.25) for x, y, z in _FCC)),),
    "LaB6": ((8.24, ((0.0, 0.0, 0.0),)), (6.65, _BORON)),
}


def reflections(formula: str, lattice: float, d_min: float) -> tuple[Array, Array]:
    """d-spacings in Å, largest first, and multiplicity times |F|² in fm² of a cubic crystal."""
    limit = int(np.ceil(lattice / d_min))
    hkl = np.array(list(product(range(-limit, limit + 1), repeat=3)))
    squares = (hkl**2).sum(axis=1)
    hkl, squares = hkl[squares > 0], squares[squares > 0]
    amplitude = np.zeros(len(hkl), dtype=complex)
    for length, positions in CRYSTALS[formula]:
        for position in positions:
            amplitude += length * np.exp(2j * np.pi * (hkl @ np.array(position)))
    sums = np.bincount(squares, weights=np.abs(amplitude) ** 2)
    present = np.flatnonzero(sums > 1e-6)
    present = present[present <= (lattice / d_min) ** 2]
    return lattice / np.sqrt(present), np.asarray(sums[present], dtype=np.float64)


def banks() -> tuple[Pixels, ...]:
    """Four banks of 30 x 10 pixels between 20° and 150°."""
    return tuple(_bank(low, low + 30.0) for low in (20.0, 53.0, 86.0, 120.0))


def _bank(low: float, high: float) -> Pixels:
    around, up = np.meshgrid(np.radians(np.linspace(low, high, 30)), np.linspace(-0.2, 0.2, 10))
    distance = np.hypot(3.2, up)
    polar = np.arccos(3.2 * np.cos(around) / distance)
    azimuth = np.arctan2(up, 3.2 * np.sin(around))
    return Pixels(distance.ravel(), polar.ravel(), azimuth.ravel())


def measure(plan: Plan, rng: np.random.Generator) -> Measurement:
    """Bragg peaks with resolution on a smooth background, and the incident spectrum."""
    d, strength = reflections(plan.formula, plan.physics["lattice"], 0.42)
    strength = strength * d**4 * np.exp(-plan.physics["b_factor"] / (2 * d**2))
    every = banks()
    polar = np.concatenate([pixels.polar for pixels in every])
    wavelength = 2 * d * np.sin(polar / 2)[:, None]
    inside = (wavelength > BAND[0]) & (wavelength < BAND[1])
    intensity = inside * strength * np.sin(polar / 2)[:, None] * maxwellian(wavelength)
    peaks = rng.poisson(intensity * (plan.events * (1 - BACKGROUND_SHARE) / intensity.sum()))
    cell = np.repeat(np.arange(peaks.size), peaks.ravel())
    pixel, line = np.divmod(cell, d.size)
    half = polar[pixel] / 2
    spread = np.hypot(0.0008, 0.0012 / np.tan(half))
    spacing = d[line] * (1 + spread * rng.normal(size=line.size))
    edges = np.linspace(*BAND, 201)
    flux = maxwellian((edges[1:] + edges[:-1]) / 2)
    table = np.broadcast_to(flux, (polar.size, flux.size))
    flat_pixel, flat = draw(table, edges, round(plan.events * BACKGROUND_SHARE), rng)
    pixel = np.concatenate([pixel, flat_pixel])
    waves = np.concatenate([2 * spacing * np.sin(half), flat])
    measured = tuple(_events(number, every, pixel, waves) for number in range(len(every)))
    times = time_of_flight(MONITOR_DISTANCE, edges)
    monitor = Monitor("monitor1", MONITOR_DISTANCE, times, rng.poisson(5_000 * flux))
    return Measurement(MODERATOR_TO_SAMPLE, measured, (monitor,), {"LambdaRequest": (1.333, "A")})


def _events(
    number: int, every: tuple[Pixels, ...], pixel: npt.NDArray[np.int64], waves: Array
) -> Bank:
    pixels = every[number]
    first = sum(bank.polar.size for bank in every[:number])
    mine = (pixel >= first) & (pixel < first + pixels.polar.size)
    local = pixel[mine] - first
    path = MODERATOR_TO_SAMPLE + pixels.distance[local]
    return Bank(f"bank{number + 1}", pixels, local, time_of_flight(path, waves[mine]))
