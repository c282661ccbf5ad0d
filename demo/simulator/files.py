"""NeXus event files of the simulated facility (https://manual.nexusformat.org)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np

from demo.simulator import arcs, eqsans, pg3, ref_l
from demo.simulator.measurement import Bank, Measurement, Monitor, Plan
from demo.simulator.programme import BEAMLINE, plan_run

PULSES_PER_SECOND = 60
PULSE_CHARGE_PC = 2.31e7  # 23.1 µC, 1.4 MW at 60 Hz and 1 GeV

MODELS: dict[str, Callable[[Plan, np.random.Generator], Measurement]] = {
    "ARCS": arcs.measure,
    "PG3": pg3.measure,
    "EQSANS": eqsans.measure,
    "REF_L": ref_l.measure,
}


@dataclass(frozen=True, slots=True)
class RunFile:
    """A written run: `data_file` is the path on the facility, `path` the one on this machine."""

    instrument: str
    run_number: int
    proposal: str
    data_file: str
    path: Path
    total_counts: int


def write_run(
    instrument: str,
    run_number: int,
    facility_root: Path,
    seed: int,
    *,
    ended_at: datetime | None = None,
    duration_s: float = 30.0,
) -> RunFile:
    """Measure the run that the programme plans for this number and write its file.

    The file appears under its name only when it is complete.

    Raises:
        KeyError: unknown instrument.
        OSError: the file cannot be written.
    """
    plan = plan_run(instrument, run_number, duration_s)
    rng = np.random.default_rng([seed, run_number, crc32(instrument.encode())])
    measurement = MODELS[instrument](plan, rng)
    data_file = f"/SNS/{instrument}/{plan.proposal}/nexus/{instrument}_{run_number}.nxs.h5"
    path = facility_root / data_file.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(unfinished, "w") as file:
            _write_entry(file, plan, measurement, ended_at or datetime.now(UTC), rng)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return RunFile(
        instrument, run_number, plan.proposal, data_file, path, total_counts(measurement)
    )


def total_counts(measurement: Measurement) -> int:
    """Neutrons in all detector banks, monitors not included."""
    return sum(bank.pixel.size for bank in measurement.banks)


def newest_run_number(instrument: str, facility_root: Path) -> int | None:
    """The highest run number with a file, None when the instrument has none."""
    folder = facility_root / "SNS" / instrument
    names = (path.name for path in folder.glob(f"IPTS-*/nexus/{instrument}_*.nxs.h5"))
    numbers = (name.removeprefix(f"{instrument}_").removesuffix(".nxs.h5") for name in names)
    return max((int(number) for number in numbers if number.isdigit()), default=None)


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def _write_entry(
    file: h5py.File,
    plan: Plan,
    measurement: Measurement,
    ended_at: datetime,
    rng: np.random.Generator,
) -> None:
    entry = _group(file, "entry", "NXentry")
    _write_run_facts(entry, plan, measurement, ended_at)
    instrument = _group(entry, "instrument", "NXinstrument")
    instrument["name"], instrument["beamline"] = plan.instrument, BEAMLINE[plan.instrument]
    moderator = _group(instrument, "moderator", "NXmoderator")
    _dataset(moderator, "distance", -measurement.moderator_to_sample, "m")
    first_id = 0
    for bank in measurement.banks:
        _write_bank(entry, instrument, bank, first_id=first_id, duration_s=plan.duration_s, rng=rng)
        first_id += bank.pixels.distance.size
    for monitor in measurement.monitors:
        _write_monitor(entry, monitor)
    _write_sample_and_logs(entry, plan, measurement, ended_at, rng)


def _dataset(group: h5py.Group, name: str, value: object, units: str) -> None:
    group[name] = value
    group[name].attrs["units"] = units


def _write_run_facts(
    entry: h5py.Group, plan: Plan, measurement: Measurement, ended_at: datetime
) -> None:
    entry["definition"] = "NXsnsevent"
    entry["run_number"], entry["title"] = str(plan.run_number), plan.title
    entry["experiment_identifier"] = plan.proposal
    entry["start_time"] = (ended_at - timedelta(seconds=plan.duration_s)).isoformat()
    entry["end_time"] = ended_at.isoformat()
    entry["total_counts"] = total_counts(measurement)
    _dataset(entry, "duration", plan.duration_s, "second")
    charge = plan.duration_s * PULSES_PER_SECOND * PULSE_CHARGE_PC
    beam_was_on = plan.physics.get("beam", 1.0)
    _dataset(entry, "proton_charge", charge * beam_was_on, "picoCoulomb")


def _write_bank(
    entry: h5py.Group,
    instrument: h5py.Group,
    bank: Bank,
    *,
    first_id: int,
    duration_s: float,
    rng: np.random.Generator,
) -> None:
    detector = _group(instrument, bank.name, "NXdetector")
    count = bank.pixels.distance.size
    detector["pixel_id"] = np.arange(first_id, first_id + count, dtype=np.uint32)
    _dataset(detector, "distance", bank.pixels.distance, "m")
    _dataset(detector, "polar_angle", np.degrees(bank.pixels.polar), "degree")
    _dataset(detector, "azimuthal_angle", np.degrees(bank.pixels.azimuthal), "degree")
    events = _group(entry, f"{bank.name}_events", "NXevent_data")
    pulses = max(1, round(duration_s * PULSES_PER_SECOND))
    pulse = rng.integers(0, pulses, bank.pixel.size)
    order = np.argsort(pulse, kind="stable")
    events["event_id"] = (bank.pixel[order] + first_id).astype(np.uint32)
    times = bank.time_of_flight[order].astype(np.float32)
    _dataset(events, "event_time_offset", times, "microsecond")
    _dataset(events, "event_time_zero", np.arange(pulses) / PULSES_PER_SECOND, "second")
    events["event_index"] = np.searchsorted(pulse[order], np.arange(pulses)).astype(np.uint64)
    events["total_counts"] = bank.pixel.size


def _write_monitor(entry: h5py.Group, monitor: Monitor) -> None:
    group = _group(entry, monitor.name, "NXmonitor")
    _dataset(group, "distance", monitor.distance, "m")
    group["distance"].attrs["from"] = "moderator"
    group["efficiency"] = monitor.efficiency
    _dataset(group, "time_of_flight", monitor.edges, "microsecond")
    _dataset(group, "data", monitor.counts.astype(np.int64), "counts")


def _write_sample_and_logs(
    entry: h5py.Group,
    plan: Plan,
    measurement: Measurement,
    ended_at: datetime,
    rng: np.random.Generator,
) -> None:
    sample = _group(entry, "sample", "NXsample")
    sample["name"], sample["chemical_formula"] = plan.sample, plan.formula
    _dataset(sample, "temperature", plan.temperature_k, "K")
    logs = _group(entry, "DASlogs", "NXcollection")
    begin = ended_at - timedelta(seconds=plan.duration_s)
    times = np.arange(0.0, plan.duration_s, 1.0)
    wobble = plan.temperature_k + rng.normal(0.0, 0.02, times.size)
    _write_log(logs, "SampleTemp", values=wobble, times=times, units="K", begin=begin)
    for name, (value, units) in measurement.settings.items():
        _write_log(
            logs, name, values=np.array([value]), times=np.zeros(1), units=units, begin=begin
        )


def _write_log(
    logs: h5py.Group,
    name: str,
    *,
    values: np.typing.NDArray[np.float64],
    times: np.typing.NDArray[np.float64],
    units: str,
    begin: datetime,
) -> None:
    log = _group(logs, name, "NXlog")
    _dataset(log, "value", values, units)
    _dataset(log, "time", times, "second")
    log["time"].attrs["start"] = begin.isoformat()
    log["average_value"] = float(values.mean())
