"""Bad input gets its clear error where a person looks; nothing else suffers or is left running."""

import json
from typing import Any

import pytest

from tests.facility import Facility

DATA_READY = "/queue/POSTPROCESS.DATA_READY"
FINAL = ("done", "failed", "skipped")


def announced(facility: Facility, instrument: str, run_number: int, **changes: Any) -> None:
    """A run whose data file exists."""
    name = f"{instrument}_{run_number}.nxs.h5"
    path = f"/SNS/{instrument}/IPTS-7/nexus/{name}"
    file = facility.root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"data")
    body = {
        "facility": "SNS",
        "instrument": instrument,
        "ipts": "IPTS-7",
        "run_number": run_number,
        "data_file": path,
    }
    facility.send(DATA_READY, {**body, **changes})


def final_page(facility: Facility, instrument: str, run_number: int) -> dict[str, Any]:
    """The run page's value once the run's state is final."""
    session = facility.session()
    address = f"{facility.endpoints.web}/report/{instrument.lower()}/{run_number}/"
    found: dict[str, Any] = {}

    def is_final() -> bool:
        answer = session.get(address, params={"format": "json"}, timeout=10)
        if answer.status_code == 200:
            found.update(answer.json())
        return found.get("state") in FINAL

    assert facility.await_true(is_final, 60), found
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"instrument": "ARCS", "ipts": "IPTS-1", "run_numb', "neither JSON"),
        (b'["ARCS", 1]', "not an object with keys"),
        (b'{"instrument": "ARCS", "ipts": "IPTS-1", "run_number": 1}', "data_file is missing"),
        (b'{"instrument": 5, "ipts": "I", "run_number": 1, "data_file": "/a"}', "not a text"),
        (b"/SNS/../IPTS-1/nexus/.._1.nxs.h5", "which is not a name"),
        (b"/SNS/ARCS/IPTS-1/nexus/NOBODY_1.nxs.h5", "no run number"),
    ],
)
def test_a_message_that_is_none_is_listed_with_its_bytes_and_reason(
    facility: Facility, body: bytes, reason: str
) -> None:
    facility.send(DATA_READY, body)
    found = "SELECT id, reason FROM workflow_rejected_message WHERE body = %s"
    assert facility.await_true(lambda: bool(facility.query(found, body)), 30)
    number, kept = facility.query(found, body)[0]
    assert reason in kept
    staff = facility.session("admin")
    listed = staff.get(f"{facility.endpoints.web}/system/rejected/", timeout=10)
    assert listed.status_code == 200
    shown = staff.get(f"{facility.endpoints.web}/system/rejected/{number}/", timeout=10)
    assert shown.status_code == 200
    assert reason in shown.text


def test_a_data_file_that_does_not_exist(facility: Facility) -> None:
    announced(facility, "NOFILE", 1, data_file="/SNS/NOFILE/IPTS-7/nexus/NOFILE_999.nxs.h5")
    page = final_page(facility, "NOFILE", 1)
    assert page["state"] == "failed"
    text = json.dumps(page)
    assert "Data file not found: " in text
    assert "NOFILE_999.nxs.h5" in text


def test_an_instrument_without_a_script(facility: Facility) -> None:
    announced(facility, "NOSCRIPT", 1)
    assert final_page(facility, "NOSCRIPT", 1)["state"] == "skipped"


SCRIPTS = {
    "SILENT": ("import sys; sys.exit(3)", "code 3"),
    "RAISES": (
        "raise RuntimeError('the vanadium file is missing')",
        "the vanadium file is missing",
    ),
    "FORKS": (
        "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(600)\nexit(4)",
        "code 4",
    ),
    "FLOODS": (
        "import sys\nline = 'x' * 1023 + '\\n'\nfor _ in range(1024 * 1024):\n"
        "    sys.stdout.write(line)\nsys.exit(5)",
        "code 5",
    ),
}


@pytest.mark.parametrize("instrument", SCRIPTS)
def test_a_script_that_fails(facility: Facility, instrument: str) -> None:
    script, said = SCRIPTS[instrument]
    file = facility.install(instrument, script)
    announced(facility, instrument, 1)
    page = final_page(facility, instrument, 1)
    assert page["state"] == "failed"
    assert said in json.dumps(page)
    assert facility.processes_naming(str(file)) == []
    logs = facility.root / f"SNS/{instrument}/IPTS-7/shared/autoreduce/reduction_log"
    assert sum(log.stat().st_size for log in logs.iterdir()) < 64 * 1024 * 1024


def test_a_good_run_between_bad_ones_is_not_disturbed(facility: Facility) -> None:
    facility.install("GOOD", "print('fine')")
    facility.send(DATA_READY, b"{", b"\xff", b"[" * 100_000)
    announced(facility, "GOOD", 1)
    facility.send(DATA_READY, b"null")
    assert final_page(facility, "GOOD", 1)["state"] == "done"
