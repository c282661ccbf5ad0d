"""The life of the instruments, on a clock of our own."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.simulator.facility import Facility, cycles
from workflow_manager.broker.ports import BrokerUnavailableError, OutgoingMessage

BEGIN = datetime(2026, 2, 19, 8, 0, tzinfo=UTC)


class Broker:
    """Keeps what it gets; refuses everything while it is away."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []
        self.away = False

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        if self.away:
            raise BrokerUnavailableError("nobody there")
        self.messages.extend(messages)

    def close(self) -> None:
        self.away = True

    def bodies(self, destination: str) -> list[dict[str, Any]]:
        return [json.loads(m.body) for m in self.messages if m.destination == destination]


def play(facility: Facility, first_s: float, last_s: float) -> None:
    for quarter in range(round(4 * first_s), round(4 * last_s)):
        facility.step(BEGIN + timedelta(seconds=quarter / 4))


def test_the_first_run_ends_after_eight_seconds_with_its_file(tmp_path: Path) -> None:
    broker = Broker()
    play(Facility(cycles(tmp_path, seed=1), broker), 0, 9)
    (ready,) = broker.bodies("/queue/POSTPROCESS.DATA_READY")
    assert ready["instrument"] == "ARCS"
    assert (tmp_path / ready["data_file"].lstrip("/")).is_file()
    reasons = [body["reason"] for body in broker.bodies("/topic/SNS.ARCS.APP.SMS")]
    assert reasons[0] == "SMS run started"
    assert reasons[1] == "SMS run stopped"
    assert reasons[-1] == "Translation Succeeded"
    assert [m.persistent for m in broker.messages if "queue" in m.destination] == [True]


def test_all_instruments_report_and_beat(tmp_path: Path) -> None:
    broker = Broker()
    play(Facility(cycles(tmp_path, seed=1), broker), 0, 6)
    for name in ("ARCS", "PG3", "EQSANS", "REF_L"):
        for process in ("DASMON", "SMS", "PVSD"):
            beats = broker.bodies(f"/topic/SNS.{name}.STATUS.{process}")
            assert [beat["status"] for beat in beats] == ["0", "0"]
        values = broker.bodies(f"/topic/SNS.{name}.APP.DASMON")
        assert {"recording", "count_rate", "proposal_id", "total_counts"} <= {
            key for body in values for key in body
        }
        assert all(
            isinstance(leaf, str)
            for body in values
            for key, leaf in body.items()
            if key != "monitors"
        )


def test_no_run_is_lost_while_the_broker_is_away(tmp_path: Path) -> None:
    broker = Broker()
    facility = Facility(cycles(tmp_path, seed=1), broker)
    play(facility, 0, 6)
    broker.away = True
    play(facility, 6, 30)
    assert broker.bodies("/queue/POSTPROCESS.DATA_READY") == []
    broker.away = False
    play(facility, 30, 36)
    announced = {body["data_file"] for body in broker.bodies("/queue/POSTPROCESS.DATA_READY")}
    written = {"/" + str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.nxs.h5")}
    assert announced == written
    assert len(announced) >= 4


def test_run_numbers_go_on_where_the_files_end(tmp_path: Path) -> None:
    play(Facility(cycles(tmp_path, seed=1), Broker()), 0, 9)
    (arcs, *_) = cycles(tmp_path, seed=1)
    assert arcs.next_run == 214_582
