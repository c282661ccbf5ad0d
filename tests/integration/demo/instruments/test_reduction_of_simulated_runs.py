"""Simulate a run, reduce it in a process of its own, and find the physics that was put in."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from demo.simulator import arcs, pg3
from demo.simulator.files import RunFile, write_run
from demo.simulator.programme import plan_run

SCRIPTS = Path(__file__).parents[4] / "demo" / "instruments"
PUBLISHER = Path(__file__).parent / "publisher"
Reduce = Callable[[RunFile], subprocess.CompletedProcess[str]]
Table = npt.NDArray[np.float64]


@pytest.fixture
def reduce(tmp_path: Path) -> Reduce:
    def run(run_file: RunFile) -> subprocess.CompletedProcess[str]:
        name = run_file.instrument
        script = SCRIPTS / name / "shared" / "autoreduce" / f"reduce_{name}.py"
        return subprocess.run(
            [sys.executable, str(script), str(run_file.path), f"{tmp_path}/"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PUBLISHER)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def table(folder: Path, run_file: RunFile) -> Table:
    return np.loadtxt(folder / f"{run_file.instrument}_{run_file.run_number}.dat").T


def plot(folder: Path, run_file: RunFile) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Traces and layout of the published figure."""
    text = (folder / f"{run_file.instrument}_{run_file.run_number}.html").read_text()
    call = re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*", text)
    assert call is not None
    decoder = json.JSONDecoder()
    traces, end = decoder.raw_decode(text, call.end())
    layout, _ = decoder.raw_decode(text, text.index("{", end))
    return traces, layout


def succeeded(result: subprocess.CompletedProcess[str]) -> None:
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip()


@pytest.mark.parametrize(
    ("instrument", "run_number"),
    [("ARCS", 214582), ("PG3", 57301), ("EQSANS", 148201), ("REF_L", 214746)],
)
def test_every_script_leaves_table_record_and_plot(
    instrument: str, run_number: int, tmp_path: Path, reduce: Reduce
) -> None:
    run_file = write_run(instrument, run_number, tmp_path, seed=3)
    succeeded(reduce(run_file))
    record = json.loads((tmp_path / f"{instrument}_{run_number}.json").read_text())
    assert record["input_files"] == [str(run_file.path)]
    assert all(Path(path).is_file() for path in record["output_files"])
    traces, _ = plot(tmp_path, run_file)
    assert traces
    check = {"ARCS": arcs_physics, "PG3": lattice, "EQSANS": radius, "REF_L": thickness}
    check[instrument](tmp_path, run_file)


def arcs_physics(folder: Path, run_file: RunFile) -> None:
    """Incident energy within 1 %, elastic line at zero, longitudinal phonon, all counts."""
    plan = plan_run("ARCS", run_file.run_number)
    energy, counts, _ = table(folder, run_file)
    traces, layout = plot(folder, run_file)
    assert layout["meta"]["incident_energy_meV"] == pytest.approx(
        plan.physics["incident_energy"], rel=0.01
    )
    assert layout["meta"]["total_counts"] == run_file.total_counts
    assert sum(traces[1]["y"]) == pytest.approx(run_file.total_counts, rel=0.001)
    assert abs(energy[counts.argmax()]) < 0.5
    window = (energy > 24.5) & (energy < 32)
    phonon = np.average(energy[window], weights=counts[window])
    assert phonon == pytest.approx(plan.physics["longitudinal"], abs=1.2)


def lattice(folder: Path, run_file: RunFile) -> None:
    """The lattice parameter from the strongest isolated reflection, within 0.2 %."""
    plan = plan_run("PG3", run_file.run_number)
    d, intensity, _ = table(folder, run_file)
    expected, _ = pg3.reflections(plan.formula, plan.physics["lattice"], 1.0)
    spacing = expected[1]
    near = np.abs(d / spacing - 1) < 0.02
    background = np.median(intensity)
    found = np.average(d[near], weights=np.clip(intensity[near] - background, 0, None))
    assert found == pytest.approx(spacing, rel=0.002)


def radius(folder: Path, run_file: RunFile) -> None:
    """The first minimum of the sphere's form factor is at QR = 4.493."""
    q, intensity, _ = table(folder, run_file)
    expected = 4.493 / plan_run("EQSANS", run_file.run_number).physics["radius"]
    near = (q > 0.7 * expected) & (q < 1.25 * expected)
    assert q[near][intensity[near].argmin()] == pytest.approx(expected, rel=0.06)


def thickness(folder: Path, run_file: RunFile) -> None:
    """Far from the critical edge the fringes are 2π/thickness apart; total reflection is one."""
    q, r, _ = table(folder, run_file)
    bottoms = [i for i in range(4, q.size - 4) if q[i] > 0.045 and r[i] == r[i - 4 : i + 5].min()]
    film = 2 * np.pi / np.diff(q[bottoms]).mean()
    expected = plan_run("REF_L", run_file.run_number).physics["thickness"]
    assert film == pytest.approx(expected, rel=0.1)
    assert np.median(r[:8]) == pytest.approx(1.0, abs=0.12)


def test_a_run_without_beam_fails_with_a_sentence(tmp_path: Path, reduce: Reduce) -> None:
    run_file = write_run("EQSANS", 148206, tmp_path, seed=3)
    result = reduce(run_file)
    assert run_file.total_counts == 0
    assert result.returncode == 1
    last_line = result.stderr.strip().splitlines()[-1]
    assert last_line.endswith("Error: EQSANS run 148206 has no neutrons (proton charge 0.0 mC)")


def test_cold_sample_gives_no_energy_to_neutrons() -> None:
    """Energy gain over loss goes with exp(-E / kT): at 300 K weaker, at 5 K only background."""
    energy = np.array([19.0])
    polar = np.array([1.0])
    warm, cold = plan_run("ARCS", 214582), plan_run("ARCS", 214584)
    assert (warm.temperature_k, cold.temperature_k) == (300.0, 5.0)
    warm_gain, warm_loss = (arcs.scattering(warm, polar, sign * energy) for sign in (-1, 1))
    assert (
        background_share(warm_gain) < 0.5 < background_share(arcs.scattering(cold, polar, -energy))
    )
    assert warm_gain[0, 0] < warm_loss[0, 0]


def background_share(intensity: Table) -> float:
    return float(2e-5 / intensity[0, 0])
