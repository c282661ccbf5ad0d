"""The reporter with a real journal: what it does when the disk or the broker says no."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from postprocessing.journal import Journal, Record, Report
from postprocessing.reporter import Reporter
from tests.integration.postprocessing.facility import wait_until
from workflow_manager.broker.ports import MessageRefusedError, OutgoingMessage

STARTED, FINAL = Report("/queue/S", {"a": 1}), Report("/queue/C", {"a": 2})


class FakePublisher:
    """Takes batches without a body over `largest` bytes and without the queue `forbidden`."""

    def __init__(self, largest: int = 1_000_000, forbidden: str = "") -> None:
        self.sent: list[OutgoingMessage] = []
        self._largest = largest
        self._forbidden = forbidden

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        for message in messages:
            if len(message.body) > self._largest or message.destination == self._forbidden:
                raise MessageRefusedError("no")
        self.sent += messages

    def close(self) -> None:
        """Nothing to let go of."""


class FullOnceJournal(Journal):
    """The disk has no room the first time that `operation` is wanted."""

    def __init__(self, directory: Path, operation: str) -> None:
        super().__init__(directory, 10)
        self._full_for = operation

    def confirm(self, key: str, number: int) -> Record | None:
        self._may_fail("confirm")
        return super().confirm(key, number)

    def settle(self, key: str) -> None:
        self._may_fail("settle")
        super().settle(key)

    def _may_fail(self, operation: str) -> None:
        if self._full_for == operation:
            self._full_for = ""
            raise OSError(28, "No space left on device")


@contextmanager
def working(
    publisher: FakePublisher, journal: Journal, on_settled: Callable[[str], None]
) -> Iterator[Reporter]:
    reporter = Reporter(publisher, journal, on_settled)
    reporter.start()
    yield reporter
    reporter.close(1)


@pytest.mark.parametrize("operation", ["confirm", "settle"])
def test_a_full_disk_delays_the_end_of_a_job_and_no_more(tmp_path: Path, operation: str) -> None:
    journal = FullOnceJournal(tmp_path, operation)
    journal.open()
    settled: list[str] = []
    publisher = FakePublisher()
    with working(publisher, journal, settled.append) as reporter:
        journal.begin("k", STARTED)
        reporter.report("k", STARTED)
        journal.finish("k", FINAL)
        reporter.report("k", FINAL)
        wait_until(lambda: settled, timeout=5)
    assert settled == ["k"]
    assert [message.destination for message in publisher.sent] == ["/queue/S", "/queue/C"]
    assert journal.is_settled("k")
    assert journal.unsettled() == []
    journal.close()


def test_a_job_whose_reports_were_all_confirmed_is_settled_at_the_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 10)
    journal.open()
    journal.begin("k", STARTED)
    journal.finish("k", FINAL)
    journal.confirm("k", 2)
    settled: list[str] = []
    with working(FakePublisher(), journal, settled.append):
        wait_until(lambda: settled, timeout=5)
    assert journal.is_settled("k")
    journal.close()


@pytest.mark.parametrize(
    ("publisher", "destinations"),
    [
        pytest.param(FakePublisher(largest=150_000), ["/queue/BAD", "/queue/C"], id="too large"),
        pytest.param(FakePublisher(forbidden="/queue/BAD"), ["/queue/C"], id="no right"),
    ],
)
def test_a_report_that_is_refused_holds_up_no_other(
    tmp_path: Path, publisher: FakePublisher, destinations: list[str]
) -> None:
    journal = Journal(tmp_path, 10)
    journal.open()
    bad = Report("/queue/BAD", {"run_number": 1, "pad": "x" * 200_000})
    for key, report in (("bad", bad), ("good", FINAL)):
        journal.begin(key, STARTED)
        journal.confirm(key, 1)
        journal.finish(key, report)
    settled: list[str] = []
    with working(publisher, journal, settled.append):
        wait_until(lambda: len(settled) == len(destinations), timeout=5)
    assert [message.destination for message in publisher.sent] == destinations
    journal.close()
