"""What a simulated instrument delivers: detectors with events, monitors, and the run's plan."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo.simulator.neutron import Array


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured in one run; `physics` holds the sample model's numbers by name."""

    instrument: str
    run_number: int
    proposal: str
    title: str
    sample: str
    formula: str
    temperature_k: float
    events: int
    duration_s: float
    physics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pixels:
    """A detector bank; one entry per pixel: distance to the sample in m, angles in rad."""

    distance: Array
    polar: Array
    azimuthal: Array


@dataclass(frozen=True, slots=True)
class Bank:
    """The events of one bank: index of the pixel in the bank and time of flight in µs."""

    name: str
    pixels: Pixels
    pixel: npt.NDArray[np.int64]
    time_of_flight: Array


@dataclass(frozen=True, slots=True)
class Monitor:
    """A beam monitor: distance from the moderator in m, edges in µs (n + 1), counts (n)."""

    name: str
    distance: float
    edges: Array
    counts: npt.NDArray[np.int64]
    efficiency: float = 1.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run as the data acquisition sees it; `settings` become logs of the file."""

    moderator_to_sample: float
    banks: tuple[Bank, ...]
    monitors: tuple[Monitor, ...]
    settings: Mapping[str, tuple[float, str]]


def draw(
    intensity: Array, edges: Array, events: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Array]:
    """Poisson counts of a table (pixel, bin), scaled to `events` expected, as single events.

    Returns the pixel of each event and a value drawn evenly inside its bin of `edges`.
    """
    counts = rng.poisson(intensity * (events / intensity.sum()))
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    pixel, column = np.divmod(cell, intensity.shape[1])
    value = edges[column] + rng.random(cell.size) * (edges[column + 1] - edges[column])
    return pixel, value


def peak_monitor(
    name: str, distance: float, arrival_us: float, counts: int, rng: np.random.Generator
) -> Monitor:
    """A monitor in a monochromatic beam: one peak of 4 µs standard deviation, 1 µs channels."""
    edges = np.arange(np.floor(arrival_us) - 150, np.floor(arrival_us) + 151, dtype=np.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    shape = np.exp(-(((centres - arrival_us) / 4.0) ** 2) / 2)
    return Monitor(name, distance, edges, rng.poisson(counts * shape / shape.sum() + 0.2))
