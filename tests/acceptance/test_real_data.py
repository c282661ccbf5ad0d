"""Two real measurements go from DATA_READY to their plots on the run page, in a real browser."""

import itertools
import math
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.facility import Facility

DATA = Path(__file__).parents[3] / "shared" / "data"
SCRIPTS = Path(__file__).parent / "instruments"


def measured(
    facility: Facility, instrument: str, proposal: str, name: str, run_number: int
) -> dict[str, Any]:
    """What a data acquisition would announce, with file and script in their places."""
    script = SCRIPTS / instrument / "shared" / "autoreduce" / f"reduce_{instrument}.py"
    facility.install(instrument, script.read_text(encoding="utf-8"))
    path = facility.put_data(instrument, proposal, name, DATA / name)
    return {
        "facility": "SNS",
        "instrument": instrument,
        "ipts": proposal,
        "run_number": str(run_number),
        "data_file": path,
    }


def drawn_plot(page: Page, facility: Facility, instrument: str, run_number: int) -> dict[str, Any]:
    """The traces and the layout that the browser has drawn on the run page."""
    page.goto(f"{facility.endpoints.web}/report/{instrument}/{run_number}/")
    page.locator("#plot[data-shown]").wait_for(timeout=30_000)
    image = page.locator("#plot .hm image").first.bounding_box()
    assert image is not None
    assert min(image["width"], image["height"]) > 100
    drawn: dict[str, Any] = page.evaluate(
        "() => { const plot = document.getElementById('plot');"
        " return {data: plot.data, meta: plot.layout.meta}; }"
    )
    return drawn


def await_reduction(
    facility: Facility, page: Page, instrument: str, run_number: int, attempt: int
) -> None:
    """Open the run page once the attempt has begun; it tells the end by itself."""
    begun = (
        "SELECT 1 FROM workflow_job j JOIN workflow_run r ON r.id = j.run_id"
        " JOIN workflow_instrument i ON i.id = r.instrument_id"
        " WHERE i.name = %s AND r.number = %s AND j.step = 'reduction' AND j.attempt = %s"
    )
    assert facility.await_true(
        lambda: bool(facility.query(begun, instrument, run_number, attempt)), 30
    )
    page.goto(f"{facility.endpoints.web}/report/{instrument}/{run_number}/")
    if attempt > 1:
        expect(page.locator("body")).to_contain_text(re.compile(rf"Attempt\s*{attempt}\b"))
    expect(page.locator("body")).to_contain_text("Reduced in", timeout=60_000)


FORMS = ["json", "json with root", "path"]


@pytest.mark.parametrize("form", FORMS)
def test_lrmecs(facility: Facility, page: Page, screenshots: Path, form: str) -> None:
    """MgB2 on LRMECS: the incident energy was nominally 120 meV, the chopper said 130 meV."""
    announced = measured(facility, "LRMECS", "IPTS-2001", "LRMECS_3701.nxs.h5", 3701)
    if form == "path":
        facility.send("POSTPROCESS.DATA_READY", announced["data_file"].encode())
    else:
        root = str(facility.root) if form == "json with root" else ""
        body = {**announced, "data_file": root + announced["data_file"]}
        facility.send("/queue/POSTPROCESS.DATA_READY", body)
    await_reduction(facility, page, "lrmecs", 3701, attempt=1 + FORMS.index(form))
    plot = drawn_plot(page, facility, "lrmecs", 3701)
    page.screenshot(path=screenshots / f"lrmecs-{form.replace(' ', '-')}.png", full_page=True)

    traces = {trace["type"]: trace for trace in plot["data"]}
    assert traces.keys() == {"heatmap", "scatter"}
    assert 110 < plot["meta"]["incident_energy_meV"] < 140
    energy, counts = (np.array(traces["scatter"][axis], float) for axis in ("x", "y"))
    near = np.abs(energy) < 15
    assert abs(energy[near][np.argmax(counts[near])]) < 3
    with h5py.File(DATA / "LRMECS_3701.nxs.h5") as file:
        total = int(file["Histogram1/data/data"][()].sum())
    assert plot["meta"]["total_counts"] == total
    assert counts.sum() == pytest.approx(total, abs=1)
    s_map = np.array(traces["heatmap"]["z"], float)
    assert s_map.shape[1] == energy.size
    assert np.isfinite(s_map).sum() > 1000


def test_sans(facility: Facility, page: Page, screenshots: Path) -> None:
    """Vesicles on SANS-I at 6 Å and 2 m.

    By hand: the cell of the largest used radius is (124, 3), 62.52 and 60.16 cells of 7.5 mm from
    the beam centre (61.48, 63.16); opposite, (124, 124) is 62.52 and 60.84 away: 87.24 cells or
    654.3 mm. 2θ = arctan(654.3 / 2000.4) = 18.11°, so Q = 4π / 6.000 Å · sin 9.056° = 0.3297 /Å.
    The beam stop hides 10.6 cells, 79.5 mm: 2θ = 2.276°, Q = 0.0416 /Å.
    """
    announced = measured(facility, "SANS", "IPTS-2009", "SANS_12333.nxs.h5", 12333)
    facility.send("/queue/POSTPROCESS.DATA_READY", announced)
    await_reduction(facility, page, "sans", 12333, attempt=1)
    plot = drawn_plot(page, facility, "sans", 12333)
    page.screenshot(path=screenshots / "sans.png", full_page=True)

    traces = {trace["type"]: trace for trace in plot["data"]}
    curve = traces["scatter"]
    q, intensity = (np.array(curve[axis], float) for axis in ("x", "y"))
    assert q[0] == pytest.approx(0.0416, rel=0.05)
    assert q[-1] == pytest.approx(0.3297, rel=0.05)
    errors = np.array(curve["error_y"]["array"], float)
    assert is_falling(intensity, errors)
    assert intensity[0] > 10 * intensity[-1]
    with h5py.File(DATA / "SANS_12333.nxs.h5") as file:
        total = int(file["entry1/SANS/detector/counts"][()].sum())
    assert plot["meta"]["total_counts"] == total
    assert np.array(traces["heatmap"]["z"]).shape == (128, 128)


def is_falling(values: Any, errors: Any) -> bool:
    """Monotonous as far as counting statistics can tell: no step up of three sigma."""
    pairs = itertools.pairwise(zip(values, errors, strict=True))
    return all(after - before < 3 * math.hypot(a, b) for (before, a), (after, b) in pairs)
