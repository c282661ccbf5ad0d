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


def _pg3(run_number: int, duration_s: float) -> Plan:
    temperature = (300.0, 100.0, 600.0)[run_number % 3]
    formula, lattice = (("Si", 5.4311), ("LaB6", 4.1569))[run_number // 3 % 2]
    expansion = {"Si": 2.6e-6, "LaB6": 6.4e-6}[formula]
    return Plan(
        instrument="PG3",
        run_number=run_number,
        proposal=proposal_of("PG3", run_number),
        title=f"{formula} standard, T = {temperature:.0f} K",
        sample=f"{formula} powder, vanadium can",
        formula=formula,
        temperature_k=temperature,
        events=(180_000, 90_000, 130_000)[run_number % 3],
        duration_s=duration_s,
        physics={
            "lattice": lattice * (1 + expansion * (temperature - 300.0)),
            "b_factor": 0.45 * (0.4 + 0.6 * temperature / 300.0),
        },
    )


def _eqsans(run_number: int, duration_s: float) -> Plan:
    """Every sixth run the accelerator trips before the first neutron arrives."""
    radius = (60.0, 45.0, 85.0)[run_number % 3]
    beam = 0.0 if run_number % 6 == 0 else 1.0
    return Plan(
        instrument="EQSANS",
        run_number=run_number,
        proposal=proposal_of("EQSANS", run_number),
        title=f"Silica spheres in D2O, R = {radius / 10:.1f} nm, 1 vol%",
        sample=f"Silica spheres {radius / 10:.1f} nm",
        formula="SiO2 in D2O",
        temperature_k=298.0,
        events=(200_000, 120_000, 160_000)[run_number % 3],
        duration_s=duration_s,
        physics={"radius": radius, "spread": 0.06, "background": 4e-4, "beam": beam},
    )


def _ref_l(run_number: int, duration_s: float) -> Plan:
    thickness = (420.0, 600.0, 310.0)[run_number % 3]
    angle = (1.2, 1.0)[run_number // 3 % 2]
    return Plan(
        instrument="REF_L",
        run_number=run_number,
        proposal=proposal_of("REF_L", run_number),
        title=f"Ni film on Si, {thickness / 10:.0f} nm, theta = {angle:.1f} deg",
        sample=f"Ni {thickness / 10:.0f} nm on Si(100)",
        formula="Ni/Si",
        temperature_k=295.0,
        events=(150_000, 220_000, 90_000)[run_number % 3],
        duration_s=duration_s,
        physics={"thickness": thickness, "roughness": 5.0, "angle": angle},
    )


_PLANS: dict[str, Callable[[int, float], Plan]] = {
    "ARCS": _arcs,
    "PG3": _pg3,
    "EQSANS": _eqsans,
    "REF_L": _ref_l,
}
INSTRUMENTS = tuple(_PLANS)
