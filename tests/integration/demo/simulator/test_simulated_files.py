"""The files of the simulated facility."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from demo.simulator.files import newest_run_number, write_run
from demo.simulator.messages import data_ready
from demo.simulator.programme import FIRST_RUN, INSTRUMENTS


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_events_are_counted_once_and_name_a_pixel(instrument: str, tmp_path: Path) -> None:
    run_file = write_run(instrument, FIRST_RUN[instrument], tmp_path, seed=1)
    with h5py.File(run_file.path) as file:
        entry = file["entry"]
        banks = [name for name in entry if name.endswith("_events")]
        counts = sum(entry[name]["event_id"].size for name in banks)
        pixels = np.concatenate(
            [entry["instrument"][name.removesuffix("_events")]["pixel_id"][()] for name in banks]
        )
        seen = np.concatenate([entry[name]["event_id"][()] for name in banks])
        assert entry["total_counts"][()] == counts == run_file.total_counts > 0
        assert np.isin(seen, pixels).all()
        assert all(
            (np.diff(entry[name]["event_index"][()].astype(int)) >= 0).all() for name in banks
        )
    assert run_file.path.stat().st_size < 5_000_000


def test_the_message_names_the_path_on_the_facility(tmp_path: Path) -> None:
    run_file = write_run("REF_L", 214746, tmp_path, seed=1)
    body = data_ready(run_file)
    assert body["data_file"] == f"/SNS/REF_L/{run_file.proposal}/nexus/REF_L_214746.nxs.h5"
    assert run_file.path == tmp_path / body["data_file"].lstrip("/")
    assert all(isinstance(value, str) for value in body.values())
    assert (body["run_number"], body["ipts"]) == ("214746", run_file.proposal)


def test_only_whole_files_remain_and_count(tmp_path: Path) -> None:
    assert newest_run_number("PG3", tmp_path) is None
    write_run("PG3", 57301, tmp_path, seed=1)
    write_run("PG3", 57309, tmp_path, seed=1)
    assert newest_run_number("PG3", tmp_path) == 57309
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_seed_gives_the_same_events(tmp_path: Path) -> None:
    first = write_run("ARCS", 214582, tmp_path / "a", seed=7)
    again = write_run("ARCS", 214582, tmp_path / "b", seed=7)
    other = write_run("ARCS", 214582, tmp_path / "c", seed=8)
    assert first.total_counts == again.total_counts != other.total_counts
