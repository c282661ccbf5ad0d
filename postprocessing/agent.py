"""The agent: takes jobs, has them done side by side, and acknowledges them last.

A delivery is acknowledged when the broker has confirmed the job's final report. Until then the
report is in the journal and the message is with the broker, so a crash repeats work at worst.

Slots. Every queue has its own prefetch, and every delivery starts at once: a message is never
held here without being worked on, so an idle agent elsewhere can always have it. All queues whose
jobs run scripts share `max_procs` slots; cataloguing runs no scripts and does not take them.
For the same reason a job over `jobs_per_instrument` does not wait here: it runs, at low priority,
and so leaves the processors to the other instruments' jobs on this machine.

Only jobs that were twice in hand when the agent was killed wait for each other: so the one that
kills it is found out, and those that ran beside it are not blamed.
"""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from postprocessing import presence, reports, request
from postprocessing.config import Config
from postprocessing.execution.program import Executor, StoppedError, Supervisors, end_marked
from postprocessing.gateways.oncat import Catalogue
from postprocessing.jobs.cataloguing import CATALOGUING
from postprocessing.jobs.kind import Kind, Workplace
from postprocessing.jobs.reduction import HIGH_MEMORY_REDUCTION, REDUCTION
from postprocessing.jobs.reduction_cataloguing import REDUCTION_CATALOGUING
from postprocessing.journal import Journal, Report
from postprocessing.reporter import Reporter
from workflow_manager.broker.ports import Delivery, Publisher, Subscriber, Subscription
from workflow_manager.domain.destinations import bare_name
from workflow_manager.domain.destinations import queue as queue_of

log = logging.getLogger(__name__)

KINDS = (CATALOGUING, REDUCTION_CATALOGUING, REDUCTION, HIGH_MEMORY_REDUCTION)
NOT_YET = (
    "create_reduction_script_processor.CreateReductionScriptProcessor",
    "calvera_processor.CalveraProcessor",
    "calvera_processor.CalveraReducedProcessor",
    "intersect_processor.IntersectProcessor",
    "intersect_processor.IntersectReducedProcessor",
    "test_processor.TestProcessor",
)
LOW_PRIORITY = 10  # added to the niceness
MOST_STARTS = 3  # of one job that each time took the agent with it
SUSPECT_STARTS = 2  # after so many, which may all have been the fault of a job beside it
MOST_SPARES = 4  # supervisors that wait for a script, each of some 10 MB
_PRUNE_PERIOD = 3600.0  # seconds
_SPARE_PERIOD = 5.0  # seconds until what long jobs took of the spare supervisors is there again
_FLUSH_TIME = 3.0  # seconds for the last reports when the agent stops
_KILL_TIME = 15.0  # seconds for the last processes when the agent stops
_DISK_PAUSE = 5.0  # seconds between two attempts to write the journal


def kinds_for(processors: Sequence[str]) -> list[Kind]:
    """The kinds of jobs that the configuration names; what is not ours is logged."""
    known = {kind.processor: kind for kind in KINDS}
    for name in processors:
        if name in NOT_YET:
            log.warning("%s is not supported yet; its jobs are left to other agents.", name)
        elif name not in known:
            log.error("%s in `processors` is not known and is skipped.", name)
    return [known[name] for name in dict.fromkeys(processors) if name in known]


def subscriptions(kinds: Sequence[Kind], config: Config) -> list[Subscription]:
    """One for each queue, with as many messages as it has slots; and the pings."""
    with_scripts = [kind for kind in kinds if kind.runs_scripts]
    shares = _shares(config.max_procs, len(with_scripts))
    slots = {kind.queue: share for kind, share in zip(with_scripts, shares, strict=True)}
    wanted = [
        Subscription(queue_of(kind.queue), slots.get(kind.queue, config.max_procs))
        for kind in kinds
    ]
    return [*wanted, Subscription(config.heartbeat_ping, prefetch=10)]


def _shares(total: int, number: int) -> list[int]:
    return [max(1, (total + number - 1 - index) // number) for index in range(number)]


class VitalThreadError(Exception):
    """A thread ended without which the agent is of no use."""


@dataclass(slots=True)
class Duty:
    """Something to be done now and then again each `period` seconds."""

    do: Callable[[], None]
    period: float
    due_at: float = 0.0

    def do_if_due(self, now: float) -> float:
        """Return the seconds until it is due again."""
        if now >= self.due_at:
            self.do()
            self.due_at = now + self.period
        return self.due_at - now


@dataclass(slots=True)
class Held:
    """A job in hand. `delivery` is the newest handle: a redelivery replaces it."""

    delivery: Delivery
    instrument: str
    runs_scripts: bool
    executor: Executor
    thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class Agent:
    def __init__(
        self,
        config: Config,
        journal: Journal,
        publisher: Publisher,
        subscriber: Subscriber,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._subscriber = subscriber
        self._catalogue = catalogue
        self._kinds = {kind.queue: kind for kind in kinds_for(config.processors)}
        self._reporter = Reporter(publisher, journal, self._on_settled)
        self._supervisors = Supervisors(self._spares())
        self._inbox: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._suspects = threading.Lock()
        self._stopping = threading.Event()

    def run(self, publisher_config: Path) -> None:
        """Work until stopped. `publisher_config` is the file that scripts are pointed to.

        Raises:
            VitalThreadError: the agent would be deaf or mute; whoever started it starts another.
        """
        self._publisher_config = publisher_config
        self._clear_up()
        self._reporter.start()
        self._supervisors.refill()
        wanted = subscriptions(list(self._kinds.values()), self._config)
        self._subscriber.start(wanted, self._inbox.put)
        log.info("taking jobs from %s", ", ".join(self._kinds))
        try:
            self._serve()
        finally:
            self._end()

    def _spares(self) -> int:
        runs_scripts = any(kind.runs_scripts for kind in self._kinds.values())
        return min(self._config.max_procs, MOST_SPARES) if runs_scripts else 0

    def stop(self, *_: Any) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._inbox.put(None)

    def stop_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self.stop)

    def _clear_up(self) -> None:
        """End what jobs of a killed agent left running; their messages come again."""
        for record in self._journal.unsettled():
            if not record.is_ended and (ended := end_marked(record.key)):
                log.warning("ended %d processes that job %s had left", ended, record.key)
        self._journal.prune()

    def _serve(self) -> None:
        duties = (
            Duty(self._show_life, presence.LIVENESS_PERIOD),
            Duty(self._beat, presence.PERIOD),
            Duty(self._journal.prune, _PRUNE_PERIOD),
            Duty(self._supervisors.refill, _SPARE_PERIOD),
        )
        while True:
            pause = min(duty.do_if_due(time.monotonic()) for duty in duties)
            try:
                delivery = self._inbox.get(timeout=pause)
            except queue.Empty:
                continue
            if delivery is None:
                return
            self._accept(delivery)

    def _show_life(self) -> None:
        if not self._reporter.is_alive:
            raise VitalThreadError("the reporter ended, so nothing of what is done can be told")
        presence.show_life(self._config.liveness_file)

    def _beat(self) -> None:
        config = self._config
        beat = presence.heartbeat(config.heart_beat, config.agent_name, config.max_procs)
        self._reporter.say(beat)

    def _accept(self, delivery: Delivery) -> None:
        name = bare_name(delivery.destination)
        if name == bare_name(self._config.heartbeat_ping):
            self._answer(delivery)
            return
        try:
            content = request.read(delivery.body)
        except request.UnreadableBodyError as error:
            self._reject(delivery, str(error))
            return
        if name not in self._kinds:
            self._reject(delivery, f"no job of this agent comes from {delivery.destination}")
            return
        key = request.job_key(name, delivery.message_id, delivery.body, content)
        self._hold(key, self._kinds[name], content, delivery)

    def _answer(self, ping: Delivery) -> None:
        try:
            reply = presence.answer(ping.body, self._config.agent_name, self._config.max_procs)
        except request.UnreadableBodyError as error:
            log.warning("a ping cannot be answered: %s", error)
        else:
            if reply is not None:
                self._reporter.say(reply)
        ping.ack()

    def _reject(self, delivery: Delivery, reason: str) -> None:
        try:
            path = self._journal.reject(delivery.body, reason)
            log.error("message %s is kept in %s: %s", delivery.message_id, path, reason)
        except OSError:
            # Kept by nobody is better than stopping everything for ever; the log has it.
            log.exception("message %s (%s): %r", delivery.message_id, reason, delivery.body)
        delivery.ack()

    def _hold(self, key: str, kind: Kind, content: dict[str, Any], delivery: Delivery) -> None:
        with self._lock:
            if key in self._held:
                log.info("job %s came again and goes on", key)
                self._held[key].delivery = delivery
                return
            if self._journal.is_settled(key):
                log.info("job %s came again after its final report was confirmed", key)
                _acknowledge(key, delivery)
                return
            held = self._new(delivery, kind, content)
            record = self._journal.record(key)
            if record is None or not record.is_ended:
                work = (key, kind, content, held, self._niceness(held))
                held.thread = threading.Thread(
                    target=self._boundary, args=work, name=f"job {key[:8]}", daemon=True
                )
            self._held[key] = held
        if held.thread is not None:
            held.thread.start()

    def _new(self, delivery: Delivery, kind: Kind, content: Mapping[str, Any]) -> Held:
        instrument = str(content.get("instrument")).upper()
        return Held(delivery, instrument, kind.runs_scripts, Executor(self._supervisors))

    def _boundary(
        self, key: str, kind: Kind, content: Mapping[str, Any], held: Held, niceness: int
    ) -> None:
        """A job's thread: whatever happens, the job is reported or kept, and its slot is free."""
        try:
            self._work(key, kind, content, held, niceness)
        except Exception as error:  # a thread's end, where an error would vanish
            log.exception("job %s failed in a way that must not happen", key)
            self._give_up(key, kind, content, f"{kind.prefix}{type(error).__name__}: {error} ")
        # Not earlier: a script that begins shall have the processors to itself.
        self._supervisors.refill()

    def _give_up(self, key: str, kind: Kind, content: Mapping[str, Any], text: str) -> None:
        refusal = reports.refused(content, self._config.agent_name, text)
        try:
            self._finish(key, Report(queue_of(kind.error), refusal))
        except Exception:  # not even that can be said: a person has to look
            log.exception("the end of job %s cannot be reported", key)
            with self._lock:
                held = self._held.pop(key)
            self._reject(held.delivery, text)
            self._journal.forget(key)

    def _niceness(self, job: Held) -> int:
        limit = self._config.jobs_per_instrument
        beside = [
            held
            for held in self._held.values()
            if held.runs_scripts and held.instrument == job.instrument and held.is_running
        ]
        return LOW_PRIORITY if job.runs_scripts and limit and len(beside) >= limit else 0

    def _work(
        self, key: str, kind: Kind, content: Mapping[str, Any], held: Held, niceness: int
    ) -> None:
        name = self._config.agent_name
        try:
            run = request.run_of(content, self._config.facility_root)
        except request.BadRequestError as error:
            refusal = reports.refused(content, name, str(error))
            self._finish(key, Report(self._config.postprocess_error, refusal))
            return
        with self._turn(key):
            if self._stopping.is_set():
                return
            began_at = datetime.now(UTC)
            started = Report(queue_of(kind.started), reports.started(content, name))
            if not self._durably(lambda: self._journal.begin(key, started)):
                return
            self._reporter.report(key, started)
            try:
                ending = self._ending(key, kind, run, held, niceness)
            except StoppedError:
                self._journal.forget(key)
                return
            final = reports.ended(content, name, ending, began_at)
            self._finish(key, Report(queue_of(ending.destination), final))

    def _turn(self, key: str) -> AbstractContextManager[Any]:
        """At once, but one after the other for those that may have killed the agent."""
        record = self._journal.record(key)
        is_suspect = record is not None and record.starts >= SUSPECT_STARTS
        return self._suspects if is_suspect else nullcontext()

    def _ending(
        self, key: str, kind: Kind, run: request.Run, held: Held, niceness: int
    ) -> reports.Ending:
        record = self._journal.record(key)
        if record is not None and record.starts > MOST_STARTS:
            text = f"the agent was killed {record.starts - 1} times while it did this job"
            return reports.Ending(kind.error, error=f"{kind.prefix}{text} ")
        workplace = Workplace(
            config=self._config,
            executor=held.executor,
            catalogue=self._catalogue,
            mark=key,
            results=self._journal.results_of(key),
            publisher_config=self._publisher_config,
            nice=niceness,
        )
        try:
            return kind.perform(run, workplace)
        except StoppedError:
            raise
        except Exception as error:  # whatever a job meets, its sender is told
            log.exception("job %s failed", key)
            return reports.Ending(kind.error, error=f"{kind.prefix}{error} ")

    def _finish(self, key: str, final: Report) -> None:
        if self._durably(lambda: self._journal.finish(key, final)):
            self._reporter.report(key, final)

    def _durably(self, write: Callable[[], Any]) -> bool:
        """Write to the journal, if need be until the disk has room; False if stopped before."""
        while True:
            try:
                write()
            except OSError:
                log.exception("the journal cannot be written, trying again")
                if self._stopping.wait(_DISK_PAUSE):
                    return False
            else:
                return True

    def _on_settled(self, key: str) -> None:
        with self._lock:
            held = self._held.pop(key, None)
        if held is not None:
            _acknowledge(key, held.delivery)

    def _end(self) -> None:
        """Let running jobs finish for a while, end the rest, and leave."""
        log.info("stopping; running jobs have %g s", self._config.stop_grace_seconds)
        self._join_jobs(self._config.stop_grace_seconds)
        self._stopping.set()
        for held in self._jobs():
            held.executor.stop()
        self._join_jobs(_KILL_TIME)
        self._supervisors.close()
        self._reporter.close(_FLUSH_TIME)
        self._subscriber.close()

    def _jobs(self) -> list[Held]:
        with self._lock:
            return list(self._held.values())

    def _join_jobs(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for held in self._jobs():
            if held.thread is not None:
                held.thread.join(max(0.0, deadline - time.monotonic()))


def _acknowledge(key: str, delivery: Delivery) -> None:
    delivery.ack()
    log.info("job %s is acknowledged", key)
