"""ARCS: phonons in vanadium powder, seen by a direct-geometry chopper spectrometer.

Vanadium scatters incoherently, so the one-phonon cross-section is the density of states
(G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering, section 3.9):

    S(Q, E) = exp(-2W) [ δ(E) + (ħ²Q²/2M) g(|E|)/E (n(E) + 1) ]
    2W = (ħ²Q²/2M) ∫ g/E coth(E/2kT) dE
"""

import numpy as np

from demo.simulator.measurement import Bank, Measurement, Pixels, Plan, draw, peak_monitor
from demo.simulator.neutron import BOLTZMANN, ENERGY_PER_K2, ENERGY_PER_SPEED2, Array, speed

MODERATOR_TO_SAMPLE = 13.6
MONITOR_DISTANCES = (11.825, 18.5)
RADIUS = 3.0
NUCLEUS_PER_NEUTRON = 50.94 / 1.00866
TIMING_US = 6.0  # standard deviation of the burst at the detectors
ENERGY_STEP = 0.5


def phonon_density(energy: Array, transverse: float, longitudinal: float) -> Array:
    """Density of states per meV at positive energies: Debye-like foot and two Van Hove peaks."""
    foot = 0.35 * np.minimum(energy / transverse, 1.0) ** 2
    peaks = np.exp(-(((energy - transverse) / 2.6) ** 2) / 2)
    peaks = peaks + 0.75 * np.exp(-(((energy - longitudinal) / 1.5) ** 2) / 2)
    density = (foot * energy / transverse + peaks * (energy / transverse) ** 2) * _below(
        energy, longitudinal + 4.0
    )
    return np.asarray(density / (density.sum() * (energy[1] - energy[0])))


def _below(energy: Array, cut: float) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp((energy - cut) / 0.4)))


def banks() -> tuple[Pixels, ...]:
    """Three banks of 32 vertical tubes with 16 pixels each, on a cylinder of 3 m radius."""
    return tuple(_bank(first) for first in (-28.0, 10.0, 62.0))


def _bank(first_degrees: float) -> Pixels:
    angle = np.radians(first_degrees + np.linspace(0.0, 48.0 if first_degrees > 0 else 25.0, 32))
    height = np.linspace(-0.5, 0.5, 16)
    around, up = (grid.ravel() for grid in np.meshgrid(angle, height, indexing="ij"))
    distance = np.hypot(RADIUS, up)
    polar = np.arccos(RADIUS * np.cos(around) / distance)
    return Pixels(distance, polar, np.arctan2(up, RADIUS * np.sin(around)))


def scattering(plan: Plan, polar: Array, transfer: Array) -> Array:
    """Expected intensity (pixel, energy transfer) in arbitrary units."""
    incident, temperature = plan.physics["incident_energy"], plan.temperature_k
    final = incident - transfer
    k_i, k_f = np.sqrt(incident / ENERGY_PER_K2), np.sqrt(final / ENERGY_PER_K2)
    q2 = k_i**2 + k_f**2 - 2 * k_i * k_f * np.cos(polar)[:, None]
    recoil = ENERGY_PER_K2 * q2 / NUCLEUS_PER_NEUTRON
    grid = np.arange(0.25, 60.0, 0.5)
    density = phonon_density(grid, plan.physics["transverse"], plan.physics["longitudinal"])
    occupation = 1 / np.tanh(grid / (2 * BOLTZMANN * temperature))
    debye_waller = np.exp(-recoil * np.sum(density / grid * occupation) * 0.5)
    bose = 1 / (1 - np.exp(-transfer / (BOLTZMANN * temperature)))
    one_phonon = np.interp(np.abs(transfer), grid, density) / transfer * bose
    elastic = np.where(np.abs(transfer) < ENERGY_STEP, 0.5 / ENERGY_STEP, 0.0)
    return np.asarray(k_f / k_i * debye_waller * (elastic + recoil * one_phonon) + 2e-5)


def measure(plan: Plan, rng: np.random.Generator) -> Measurement:
    """Events in three banks and the peaks in both beam monitors."""
    incident = plan.physics["incident_energy"]
    edges = np.arange(-0.6 * incident, 0.9 * incident, ENERGY_STEP)
    edges = edges - edges[np.argmin(np.abs(edges))]  # an edge at zero: no division by it
    centres = (edges[1:] + edges[:-1]) / 2
    arrival = 1e6 * MODERATOR_TO_SAMPLE / speed(incident)
    measured = []
    for number, pixels in enumerate(banks(), start=1):
        intensity = scattering(plan, pixels.polar, centres)
        pixel, transfer = draw(intensity, edges, plan.events // 3, rng)
        transfer = np.where(np.abs(transfer) < ENERGY_STEP, 0.0, transfer)
        flight = 1e6 * pixels.distance[pixel] / speed(incident - transfer)
        times = arrival + flight + rng.normal(0.0, TIMING_US, pixel.size)
        measured.append(Bank(f"bank{number}", pixels, pixel, times))
    monitors = tuple(
        peak_monitor(f"monitor{i}", metres, float(1e6 * metres / speed(incident)), 20_000, rng)
        for i, metres in enumerate(MONITOR_DISTANCES, start=1)
    )
    chopper = incident / ENERGY_PER_SPEED2
    return Measurement(
        MODERATOR_TO_SAMPLE,
        tuple(measured),
        monitors,
        {
            "EnergyRequest": (incident, "meV"),
            "chopper3_TDC": (float(1e6 * 11.6 / np.sqrt(chopper)), "microsecond"),
        },
    )
