"""Sends what the agent says: reports until they are confirmed, other messages once.

One thread, so that the reports of a job keep their order. While the broker is away it tries for
ever; the reports are in the journal.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from postprocessing.journal import Journal, Report
from postprocessing.reports import abridged
from workflow_manager.broker.ports import (
    BrokerError,
    MessageRefusedError,
    OutgoingMessage,
    Publisher,
)

log = logging.getLogger(__name__)

_LARGEST_BATCH = 100
_SHORTEST_PAUSE = 0.25  # seconds
_LONGEST_PAUSE = 10.0
_SURELY_TAKEN = 100_000  # bytes of a report that no broker finds too large


class Reporter:
    """`on_settled` is called with the key of each job whose final report was confirmed."""

    def __init__(
        self, publisher: Publisher, journal: Journal, on_settled: Callable[[str], None]
    ) -> None:
        self._publisher = publisher
        self._journal = journal
        self._on_settled = on_settled
        self._change = threading.Condition()
        self._reports: deque[tuple[str, Report]] = deque()
        # Keys: one for each report that the broker has, then one for each job that is done.
        self._to_confirm: deque[str] = deque()
        self._to_settle: deque[str] = deque()
        self._others: deque[OutgoingMessage] = deque(maxlen=1000)
        self._is_closing = False
        self._pause = _SHORTEST_PAUSE
        self._batch_size = _LARGEST_BATCH
        self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin with the reports that an earlier agent could not send."""
        for record in self._journal.unsettled():
            if record.is_ended and not record.unconfirmed:
                self._to_settle.append(record.key)
            for report in record.unconfirmed if record.is_ended else ():
                self.report(record.key, report)
        self._thread.start()

    def report(self, key: str, report: Report) -> None:
        """Send a report that is in the journal."""
        with self._change:
            self._reports.append((key, report))
            self._change.notify_all()

    def say(self, message: OutgoingMessage) -> None:
        """Send a heartbeat or an answer; when the broker is away it is worth nothing later."""
        with self._change:
            self._others.append(message)
            self._change.notify_all()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self, timeout: float) -> None:
        """Send what is there, for `timeout` seconds at most, and end."""
        with self._change:
            self._change.wait_for(lambda: not self._has_work(), timeout)
            self._is_closing = True
            self._change.notify_all()
        self._thread.join(timeout)

    def _work(self) -> None:
        while self._wait():
            try:
                self._say_others()
                self._write_down()
                self._send_reports()
                self._write_down()
                self._pause = _SHORTEST_PAUSE
            except BrokerError as error:
                log.warning("not sent, trying again in %g s: %s", self._pause, error)
                self._rest()
            except OSError:
                log.exception("the journal cannot be written, trying again")
                self._rest()

    def _wait(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._is_closing or self._has_work() or self._others)
            return not self._is_closing

    def _has_work(self) -> bool:
        return bool(self._reports or self._to_confirm or self._to_settle)

    def _rest(self) -> None:
        with self._change:
            self._change.wait_for(lambda: self._is_closing, self._pause)
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def _say_others(self) -> None:
        while self._others:
            message = self._others.popleft()
            try:
                self._publisher.publish([message])
            except BrokerError as error:
                log.warning("not sent to %s: %s", message.destination, error)

    def _send_reports(self) -> None:
        with self._change:
            batch = list(self._reports)[: self._batch_size]
        if not batch:
            return
        try:
            self._publish(batch)
        except MessageRefusedError as refusal:
            # If one of many is refused, the others shall not wait for it.
            self._batch_size = 1
            if len(batch) > 1:
                raise
            self._publish_abridged(batch[0], refusal)
        self._batch_size = _LARGEST_BATCH
        self._move_to_confirm(len(batch))

    def _publish(self, batch: Sequence[tuple[str, Report]]) -> None:
        self._publisher.publish(
            [OutgoingMessage(report.destination, report.encoded()) for _, report in batch]
        )

    def _publish_abridged(self, each: tuple[str, Report], refusal: MessageRefusedError) -> None:
        key, report = each
        if len(report.encoded()) <= _SURELY_TAKEN:  # refused for another reason
            self._move_to_end(each)
            raise refusal
        log.warning("a report to %s is sent shortened: %s", report.destination, refusal)
        try:
            self._publish([(key, replace(report, body=abridged(report.body)))])
        except MessageRefusedError:
            self._move_to_end(each)
            raise

    def _move_to_end(self, each: tuple[str, Report]) -> None:
        with self._change:
            self._reports.remove(each)
            self._reports.append(each)

    def _move_to_confirm(self, number: int) -> None:
        with self._change:
            for _ in range(number):
                self._to_confirm.append(self._reports.popleft()[0])

    def _write_down(self) -> None:
        """Bring the journal up to date; what it does not take stays here to be tried again."""
        while self._to_confirm:
            record = self._journal.confirm(self._to_confirm[0], 1)
            key = self._to_confirm.popleft()
            if record is not None and record.is_ended and not record.unconfirmed:
                self._to_settle.append(key)
        while self._to_settle:
            self._journal.settle(self._to_settle[0])
            self._on_settled(self._to_settle.popleft())
        with self._change:
            self._change.notify_all()
