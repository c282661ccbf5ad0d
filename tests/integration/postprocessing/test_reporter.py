"""The reporter with a real journal: what it does when the disk or the broker says no."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from postprocessing.journal import Journal, Record, Report
from postprocessing.reporter import Reporter
from tests.integration.postprocessing.facility import wait_until
from workflow_manager.broker.ports import OutgoingMessage

STARTED, FINAL = Report("/queue/S", {"a": 1}), Report("/queue/C", {"a": 2})


class FakePublisher:
    """Takes everything."""

    def __init__(self) -> None:
        self.sent: list[OutgoingMessage] = []

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
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
