"""EQSANS: small-angle scattering of nearly monodisperse spheres in solution.

Form factor of a sphere P(Q) = [3 (sin QR - QR cos QR) / (QR)³]² (A. Guinier and G. Fournet,
Small-Angle Scattering of X-rays (1955)), averaged over a Gaussian of radii, plus background.
"""

import numpy as np

from demo.simulator.measurement import Bank, Measurement, Monitor, Pixels, Plan, draw
from demo.simulator.neutron import Array, maxwellian, time_of_flight

MODERATOR_TO_SAMPLE = 14.122
SAMPLE_TO_DETECTOR = 4.0
MONITOR_DISTANCE = 10.1
BAND = (2.5, 6.0)  # Å
BEAM_STOP_M = 0.045


def sphere(q: Array, radius: float) -> Array:
    """Form factor of a sphere, 1 at Q = 0; Q in 1/Å, radius in Å."""
    x = q * radius
    return np.asarray((3 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2)


def intensity(q: Array, radius: float, spread: float, background: float) -> Array:
    """Scattering per solid angle, relative to the spheres' forward value."""
    radii = radius * (1 + spread * np.linspace(-2.5, 2.5, 11))
    weights = np.exp(-(((radii / radius - 1) / spread) ** 2) / 2) * (radii / radius) ** 6
    curves = np.array([weight * sphere(q, r) for weight, r in zip(weights, radii, strict=True)])
    return np.asarray(curves.sum(axis=0) / weights.sum() + background)


def pixels() -> Pixels:
    """64 x 64 pixels over 1 m x 1 m; the beam stop hides the centre."""
    place = (np.arange(64) - 31.5) / 64
    across, up = (grid.ravel() for grid in np.meshgrid(place, place))
    radius = np.hypot(across, up)
    distance = np.hypot(SAMPLE_TO_DETECTOR, radius)
    return Pixels(distance, np.arctan(radius / SAMPLE_TO_DETECTOR), np.arctan2(up, across))


def measure(plan: Plan, rng: np.random.Generator) -> Measurement:
    """Events on the square detector and the incident spectrum; nothing when the beam is off."""
    bank = pixels()
    edges = np.linspace(*BAND, 141)
    wavelength = (edges[1:] + edges[:-1]) / 2
    flux = maxwellian(wavelength)
    q = 4 * np.pi * np.sin(bank.polar / 2)[:, None] / wavelength
    physics = plan.physics
    curve = intensity(q, physics["radius"], physics["spread"], physics["background"])
    seen = SAMPLE_TO_DETECTOR * np.tan(bank.polar) > BEAM_STOP_M
    expected = seen[:, None] * flux * curve * np.cos(bank.polar)[:, None] ** 3
    pixel, waves = draw(expected, edges, round(plan.events * physics["beam"]), rng)
    times = time_of_flight(MODERATOR_TO_SAMPLE + bank.distance[pixel], waves)
    monitor = Monitor(
        "monitor1",
        MONITOR_DISTANCE,
        time_of_flight(MONITOR_DISTANCE, edges),
        rng.poisson(20_000 * flux * physics["beam"]),
    )
    settings = {"detectorZ": (1000 * SAMPLE_TO_DETECTOR, "mm"), "beamstop": (90.0, "mm")}
    events = Bank("bank1", bank, pixel, times)
    return Measurement(MODERATOR_TO_SAMPLE, (events,), (monitor,), settings)
