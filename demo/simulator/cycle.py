"""The life of one instrument: measure, write the file, tell the world, change the sample.

A cycle never sleeps and never reads the clock: `step(now)` does what is due and returns the
messages, so an hour of facility passes in a millisecond of test.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from demo.simulator import messages
from demo.simulator.controls import Controls
from demo.simulator.database import Moment
from demo.simulator.files import PULSE_CHARGE_PC, PULSES_PER_SECOND, RunFile
from demo.simulator.measurement import Plan
from workflow_manager.broker.ports import OutgoingMessage

HEARTBEAT = timedelta(seconds=5)
VALUES = timedelta(seconds=2)
PAST_STEP = timedelta(seconds=20)
_STEPS_OF_A_RUN = 90

# (plan, end of the run) -> the file
WriteRun = Callable[[Plan, datetime], RunFile]
# (run number, duration in s) -> the plan
MakePlan = Callable[[int, float], Plan]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long things take, in seconds; `first` is the length of the first run."""

    first: float
    shortest: float = 20.0
    longest: float = 40.0
    between: float = 4.0


@dataclass(slots=True)
class Cycle:
    """One instrument's state: which run, since when, until when; not recording between runs."""

    instrument: str
    next_run: int
    rhythm: Rhythm
    make_plan: MakePlan
    write: WriteRun
    chance: random.Random
    plan: Plan | None = None
    began_at: datetime | None = None
    ends_at: datetime | None = None
    recording: bool = False
    heartbeat_at: datetime | None = None
    values_at: datetime | None = None
    unconfirmed: list[dict[str, str]] = field(default_factory=list)
    untold_past: timedelta = timedelta(0)
    controls: Controls = field(init=False)
    _is_first: bool = True
    _asserted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.controls = Controls(self.instrument, random.Random(self.instrument))

    def step(self, now: datetime) -> list[OutgoingMessage]:
        """All messages that are due; what ends a run is also added to `unconfirmed`."""
        due: list[OutgoingMessage] = []
        if self.ends_at is None or now >= self.ends_at:
            due += self._end(now) if self.recording else self._begin(now)
        if self.heartbeat_at is None or now >= self.heartbeat_at:
            self.heartbeat_at = now + HEARTBEAT
            due += messages.heartbeats(self.instrument, now)
        if self.values_at is None or now >= self.values_at:
            self.values_at = now + VALUES
            due += self._values(now)
        return due

    def process_variables(self, now: datetime) -> list[Moment]:
        """The PVs that are due, with their times; they go another way than messages.

        A new facility has a past as well, so that there is something to look at.
        """
        if self.plan is None:
            return []
        if self.untold_past:
            return [*self._past(now, self.untold_past)]
        values = self.controls.step(now, self.plan, self.recording)
        return [(now, values)] if values else []

    def _past(self, now: datetime, length: timedelta) -> Iterator[Moment]:
        """The runs before the first one, each as long as it takes to reach a temperature."""
        self.controls = Controls(self.instrument, random.Random(self.instrument))
        steps = length // PAST_STEP
        for step in range(steps):
            number = self.next_run - 1 - (steps - step) // _STEPS_OF_A_RUN
            at = now - (steps - step) * PAST_STEP
            yield at, self.controls.step(at, self.make_plan(number, 30.0), recording=True)

    def _begin(self, now: datetime) -> list[OutgoingMessage]:
        seconds = self.chance.uniform(self.rhythm.shortest, self.rhythm.longest)
        if self._is_first:
            seconds, self._is_first = self.rhythm.first, False
        self.plan = self.make_plan(self.next_run, seconds)
        self.next_run += 1
        self.began_at, self.ends_at = now, now + timedelta(seconds=seconds)
        self.recording, self.values_at = True, None
        return [messages.sms(self.plan, now, now, "SMS run started")]

    def _end(self, now: datetime) -> list[OutgoingMessage]:
        plan, began_at = self._running()
        run_file = self.write(plan, now)
        self.unconfirmed.append(messages.data_ready(run_file, now))
        self.recording, self.values_at = False, None
        self.ends_at = now + timedelta(seconds=self.rhythm.between)
        reasons = ("SMS run stopped", "SMS Start Run Sent to STC", "Translation Succeeded")
        return [messages.sms(plan, began_at, now, reason) for reason in reasons]

    def _running(self) -> tuple[Plan, datetime]:
        if self.plan is None or self.began_at is None:
            raise RuntimeError(f"{self.instrument} has no run yet")
        return self.plan, self.began_at

    def _values(self, now: datetime) -> list[OutgoingMessage]:
        plan, began_at = self._running()
        seconds = (now - began_at).total_seconds() if self.recording else plan.duration_s
        beam = plan.physics.get("beam", 1.0)
        rate = beam * plan.events / plan.duration_s * self.chance.gauss(1.0, 0.02)
        charge = beam * self.chance.gauss(23.1, 0.05)
        monitors = [round(rate * share) for share in (0.06, 0.021)]
        collected = beam * plan.events * min(1.0, seconds / plan.duration_s)
        collected_charge = beam * seconds * PULSES_PER_SECOND * PULSE_CHARGE_PC
        return [
            *messages.run_information(plan, self.recording, now),
            messages.beam_metrics(
                self.instrument, now, rate if self.recording else 0.0, charge, monitors
            ),
            messages.run_metrics(self.instrument, now, seconds, collected, collected_charge),
            *self._signal(now, "SID_NO_BEAM", beam == 0.0, 4, "The accelerator has tripped"),
            *self._signal(
                now,
                "SID_SAMPLE_TEMP_OFF",
                self.controls.is_off_temperature(plan),
                3,
                f"The sample is not yet at {plan.temperature_k:.0f} K",
            ),
        ]

    def _signal(
        self, now: datetime, name: str, is_on: bool, level: int, words: str
    ) -> list[OutgoingMessage]:
        """DASMON asserts again and again while something is wrong, and retracts once."""
        if is_on:
            self._asserted.add(name)
            return [messages.signal(self.instrument, now, name, level=level, words=words)]
        if name in self._asserted:
            self._asserted.discard(name)
            return [messages.signal(self.instrument, now, name)]
        return []
