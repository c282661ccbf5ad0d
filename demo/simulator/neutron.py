"""Neutron kinematics: wavelength in Å, energy in meV, speed in m/s, times of flight in µs.

Constants from CODATA 2018; relations as in G. L. Squires, Introduction to the Theory of Thermal
Neutron Scattering (1978), chapter 1.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

SPEED_TIMES_WAVELENGTH = 3956.034  # h / m, in m/s · Å
ENERGY_PER_SPEED2 = 5.227038e-6  # m / 2, in meV / (m/s)²
ENERGY_PER_K2 = 2.072125  # ħ² / 2m, in meV · Å²
BOLTZMANN = 0.08617333  # meV / K


def time_of_flight(path_m: Array | float, wavelength: Array | float) -> Array:
    """Time in µs over a path in m for a wavelength in Å."""
    return np.asarray(1e6 * np.asarray(path_m) * np.asarray(wavelength) / SPEED_TIMES_WAVELENGTH)


def speed(energy_mev: Array | float) -> Array:
    """Speed in m/s of neutrons of an energy in meV."""
    return np.asarray(np.sqrt(np.asarray(energy_mev) / ENERGY_PER_SPEED2))


def maxwellian(wavelength: Array, temperature_k: float = 300.0) -> Array:
    """Flux per Å of a thermal moderator, largest value 1 (Squires, section 1.3)."""
    thermal = 30.81 / np.sqrt(temperature_k)  # Å, wavelength of a neutron with energy kT
    flux = (thermal / wavelength) ** 5 * np.exp(-((thermal / wavelength) ** 2))
    return np.asarray(flux / (2.5**2.5 * np.exp(-2.5)))
