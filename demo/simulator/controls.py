"""The process variables of one instrument: sample temperature, choppers, proton charge, slits.

Like a cycle it never reads the clock: `step(now, …)` returns the values of that moment, and a
ramp of hours passes in a millisecond of test.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from demo.simulator.files import PULSE_CHARGE_PC, PULSES_PER_SECOND
from demo.simulator.measurement import Plan
from demo.simulator.programme import BEAMLINE

PERIOD = timedelta(seconds=2)
TEMPERATURE_OFF = 15.0  # K from where it should be, beyond which the data acquisition complains
_TIME_CONSTANT_S = 12.0  # of a cryofurnace in a hurry: runs of the demo last half a minute
_NOISE_K = 0.06

Value = float | str


@dataclass(slots=True)
class Controls:
    """What is turned and measured around one sample; `temperature` in K, `charge` in pC."""

    instrument: str
    chance: random.Random
    temperature: float = 295.0
    charge: float = 0.0
    due_at: datetime | None = None
    _stepped_at: datetime | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The PVs that people at this instrument want to see, in their order."""
        wanted = ("SE:SampleTemp", "SE:SetPoint", "Chop:T0:Phase", "Acc:PCharge", "Det:Mode")
        return tuple(self._name(each) for each in wanted)

    def is_off_temperature(self, plan: Plan) -> bool:
        return abs(self.temperature - plan.temperature_k) > TEMPERATURE_OFF

    def step(self, now: datetime, plan: Plan, recording: bool) -> Mapping[str, Value]:
        """The values that are due, by the PVs' names; none between two periods."""
        if self.due_at is not None and now < self.due_at:
            return {}
        self.due_at = now + PERIOD
        seconds = (now - self._stepped_at).total_seconds() if self._stepped_at else 0.0
        self._stepped_at = now
        self._approach(plan.temperature_k, seconds)
        beam = plan.physics.get("beam", 1.0)
        self.charge += beam * seconds * PULSES_PER_SECOND * PULSE_CHARGE_PC
        values: dict[str, Value] = {
            "SE:SampleTemp": round(self.temperature + self.chance.gauss(0.0, _NOISE_K), 4),
            "SE:SetPoint": plan.temperature_k,
            "SE:HeaterPower": round(self._heater_power(plan.temperature_k), 2),
            "Chop:T0:Phase": round(self.chance.gauss(2090.0, 0.8), 3),
            "Chop:T0:Speed": 60.0 if beam else 59.98,
            "Acc:PCharge": round(self.charge, 1),
            "Acc:Power": round(beam * self.chance.gauss(1.42, 0.01), 4),
            "Mot:s1": round(10.0 + plan.run_number % 7, 2),
            "Det:Mode": "Histogram" if recording else "Idle",
        }
        return {self._name(name): value for name, value in values.items()}

    def _name(self, what: str) -> str:
        return f"{BEAMLINE[self.instrument]}:{what}"

    def _approach(self, set_point: float, seconds: float) -> None:
        """First order, as a well tuned controller does."""
        self.temperature += (set_point - self.temperature) * -math.expm1(
            -seconds / _TIME_CONSTANT_S
        )

    def _heater_power(self, set_point: float) -> float:
        """Per cent: what holds the temperature, and more while it must rise."""
        return min(100.0, max(0.0, set_point / 8.0 + 2.0 * (set_point - self.temperature)))
