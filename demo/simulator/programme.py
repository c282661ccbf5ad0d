"""What each instrument measures: the plan of a run follows from its number alone."""

from collections.abc import Callable

from demo.simulator.measurement import Plan

RUNS_PER_PROPOSAL = 5
FIRST_RUN = {"ARCS": 214_581, "PG3": 57_301, "EQSANS": 148_201, "REF_L": 214_746}
BEAMLINE = {"ARCS": "BL18", "PG3": "BL11A", "EQSANS": "BL6", "REF_L": "BL4B"}
PROPOSALS = {
    "ARCS": ("IPTS-27800", "IPTS-27278", "IPTS-31954"),
    "PG3": ("IPTS-2767", "IPTS-33012"),
    "EQSANS": ("IPTS-30423", "IPTS-29901"),
    "REF_L": ("IPTS-33077", "IPTS-34347"),
}


def proposal_of(instrument: str, run_number: int) -> str:
    """Every few runs the next group gets the beam."""
    proposals = PROPOSALS[instrument]
    return proposals[run_number // RUNS_PER_PROPOSAL % len(proposals)]


def plan_run(instrument: str, run_number: int, duration_s: float = 30.0) -> Plan:
    """The plan of a run.

    Raises:
        KeyError: the instrument is not one of the simulated facility.
    """
    return _PLANS[instrument](run_number, duration_s)


def _arcs(run_number: int, duration_s: float) -> Plan:
    temperature = (5.0, 100.0, 300.0, 500.0)[run_number % 4]
    incident = (60.0, 50.0)[run_number // 4 % 2]
    softening = 1 - 2.5e-5 * temperature
    return Plan(
        instrument="ARCS",
        run_number=run_number,
        proposal=proposal_of("ARCS", run_number),
        title=f"Vanadium powder, Ei = {incident:.0f} meV, T = {temperature:.0f} K",
        sample="Vanadium powder, 12.1 g",
        formula="V",
        temperature_k=temperature,
        events=(150_000, 90_000, 210_000)[run_number % 3],
        duration_s=duration_s,
        physics={
            "incident_energy": incident,
            "transverse": 19.0 * softening,
            "longitudinal": 28.5 * softening,
        },
    )


_PLANS: dict[str, Callable[[int, float], Plan]] = {"ARCS": _arcs}
INSTRUMENTS = tuple(_PLANS)
