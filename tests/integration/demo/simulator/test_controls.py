"""Process variables and alarms of simulated instruments, on a clock of our own."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.simulator.controls import PERIOD, Controls
from demo.simulator.facility import PAST, Facility, cycles
from demo.simulator.programme import plan_run
from tests.integration.demo.simulator.test_simulated_facility import Broker, play

BEGIN = datetime(2026, 2, 19, 8, 0, tzinfo=UTC)


def test_the_sample_comes_to_its_temperature_and_says_so_on_the_way() -> None:
    controls, plan = Controls("ARCS", random.Random(1)), plan_run("ARCS", 214_583)  # noqa: S311
    assert plan.temperature_k == 500.0
    measured = []
    for step in range(60):
        values = controls.step(BEGIN + step * PERIOD, plan, recording=True)
        measured.append(values["BL18:SE:SampleTemp"])
        if step == 0:
            assert controls.is_off_temperature(plan)
    assert measured[0] == pytest.approx(295.0, abs=1.0)
    assert measured[-1] == pytest.approx(500.0, abs=1.0)
    assert len(set(measured)) > 50, "noise"
    assert not controls.is_off_temperature(plan)


def test_values_come_once_a_period() -> None:
    controls, plan = Controls("PG3", random.Random(1)), plan_run("PG3", 57_301)  # noqa: S311
    assert set(controls.names) < set(controls.step(BEGIN, plan, recording=False))
    assert controls.step(BEGIN + timedelta(seconds=1), plan, recording=False) == {}
    assert controls.step(BEGIN + PERIOD, plan, recording=False)["BL11A:Det:Mode"] == "Idle"


def test_a_trip_of_the_accelerator_is_a_signal_that_is_retracted_later(tmp_path: Path) -> None:
    broker = Broker()
    facility = Facility(cycles(tmp_path, seed=1), broker)
    play(facility, 0, 240)
    signals = broker.bodies("/topic/SNS.EQSANS.SIGNAL.DASMON")
    trips = [body.get("sig_level") for body in signals if body["sig_name"] == "SID_NO_BEAM"]
    assert trips[0] == "4"
    assert None in trips, "retracted when the beam is back"
    assert trips.count("4") > trips.count(None), "asserted again and again"


def test_a_new_facility_has_a_past(tmp_path: Path) -> None:
    (cycle, *_) = cycles(tmp_path, seed=1)
    cycle.step(BEGIN)
    moments = cycle.process_variables(BEGIN)
    assert BEGIN - PAST <= moments[0][0] < moments[-1][0] < BEGIN
    temperatures = [float(values["BL18:SE:SampleTemp"]) for _, values in moments]
    assert max(temperatures) > 490.0, "the runs before had other temperatures"
    cycle.untold_past = timedelta(0)
    ((at, _),) = cycle.process_variables(BEGIN + PERIOD)
    assert at == BEGIN + PERIOD


def test_a_facility_that_was_there_before_goes_on(tmp_path: Path) -> None:
    broker = Broker()
    play(Facility(cycles(tmp_path, seed=1), broker), 0, 40)
    assert all(not cycle.untold_past for cycle in cycles(tmp_path, seed=1))
