"""Every message that a simulated instrument sends; leaf values are strings, as in the DAS."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from demo.simulator.files import RunFile
from demo.simulator.measurement import Plan
from demo.simulator.programme import BEAMLINE
from workflow_manager.broker.ports import OutgoingMessage

DATA_READY_QUEUE = "/queue/POSTPROCESS.DATA_READY"
STATUS_TYPE = "1073741824"
DASMON_TYPE = "2696937472"
SMS_TYPE = "2686451712"
SIGNAL_ASSERTED_TYPE = "2147483648"
SIGNAL_RETRACTED_TYPE = "2147483649"
TRANSLATION_FINISHED_TYPE = "2687500289"


def data_ready(run_file: RunFile, at: datetime | None = None) -> dict[str, str]:
    """What the translation service says when a run's file is in its place."""
    return {
        "msg_type": TRANSLATION_FINISHED_TYPE,
        "src_id": "STC_20480",
        "dest_id": "",
        "timestamp": str(int(at.timestamp())) if at else _file_time(run_file),
        "facility": "SNS",
        "instrument": run_file.instrument,
        "ipts": run_file.proposal,
        "run_number": str(run_file.run_number),
        "data_file": run_file.data_file,
        "host": f"{run_file.instrument.lower().replace('_', '')}-daq1",
    }


def _file_time(run_file: RunFile) -> str:
    return str(int(run_file.path.stat().st_mtime))


def data_ready_message(body: Mapping[str, str]) -> OutgoingMessage:
    """The one message that must not be lost."""
    return OutgoingMessage(DATA_READY_QUEUE, _encode(body), persistent=True)


def heartbeats(instrument: str, at: datetime) -> list[OutgoingMessage]:
    """The signs of life of DASMON, SMS and the PV streamer."""
    return [
        _topic(
            instrument,
            f"STATUS.{process}",
            {
                "msg_type": STATUS_TYPE,
                "src_id": f"{process}_0",
                "dest_id": "",
                "timestamp": _stamp(at),
                "status": "0",
                "pid": str(4000 + 10 * list(BEAMLINE).index(instrument) + number),
            },
        )
        for number, process in enumerate(("DASMON", "SMS", "PVSD"))
    ]


def sms(plan: Plan, began_at: datetime, at: datetime, reason: str) -> OutgoingMessage:
    """A word about the run's life; `instrument` in the body is the beamline's number."""
    nanoseconds = str(began_at.microsecond * 1000)
    body = {
        "msg_type": SMS_TYPE,
        "src_id": "SMS_32162",
        "dest_id": "",
        "timestamp": _stamp(at),
        "facility": "SNS",
        "instrument": BEAMLINE[plan.instrument],
        "start_sec": _stamp(began_at),
        "start_nsec": nanoseconds,
        "run_number": str(plan.run_number),
        "ipts": plan.proposal,
        "reason": reason,
    }
    return _topic(plan.instrument, "APP.SMS", body)


def run_information(plan: Plan, recording: bool, at: datetime) -> list[OutgoingMessage]:
    """Which run, recording or not, and what it is about."""
    run = {
        "recording": "true" if recording else "false",
        "paused": "false",
        "run_number": str(plan.run_number) if recording else "0",
        "scanning": "false",
        "scan_index": "0",
    }
    about = {
        "proposal_id": plan.proposal.removeprefix("IPTS-"),
        "run_title": plan.title,
        "run_num": str(plan.run_number),
        "sample_name": plan.sample,
        "sample_formula": plan.formula,
        "sample_nature": "Solid",
        "sample_environment": f"Cryofurnace at {plan.temperature_k:.0f} K",
    }
    return [_dasmon(plan.instrument, at, body) for body in (run, about)]


def beam_metrics(
    instrument: str, at: datetime, count_rate: float, pulse_charge: float, monitors: Sequence[int]
) -> OutgoingMessage:
    """Rates of this moment: counts per second, charge per pulse in µC, monitor counts."""
    body: dict[str, object] = {
        "count_rate": f"{count_rate:.1f}",
        "pulse_charge": f"{pulse_charge:.2f}",
        "pulse_freq": "60" if pulse_charge else "0",
        "pixel_error_rate": "0",
        "stream_bps": f"{40 * count_rate + 12_000:.0f}",
        "monitors": {str(i): str(counts) for i, counts in enumerate(monitors, start=1)},
    }
    return _dasmon(instrument, at, body)


def run_metrics(
    instrument: str, at: datetime, seconds: float, counts: float, charge: float
) -> OutgoingMessage:
    """Sums since the run began: seconds, counts, charge in pC."""
    pulses = str(round(60 * seconds))
    body = {
        "total_time": f"{seconds:.2f}",
        "total_counts": f"{counts:.0f}",
        "total_charge": f"{charge:.6g}",
        "pixel_error_count": "0",
        "dup_pulse_count": "0",
        "pulse_veto_count": "0",
        "mapping_error_count": "0",
        "missing_rtdl_count": "0",
        "got_metadata_count": pulses,
        "got_neutrons_count": pulses,
        "has_states_count": "0",
        "total_pulses_count": pulses,
    }
    return _dasmon(instrument, at, body)


def signal(
    instrument: str, at: datetime, name: str, *, level: int | None = None, words: str = ""
) -> OutgoingMessage:
    """An alarm is asserted, or, without a level, retracted."""
    body = {
        "msg_type": SIGNAL_RETRACTED_TYPE if level is None else SIGNAL_ASSERTED_TYPE,
        "src_id": "DASMON_0",
        "timestamp": _stamp(at),
        "sig_name": name,
    }
    if level is not None:
        body |= {"sig_source": "DAS", "sig_message": words, "sig_level": str(level)}
    return _topic(instrument, "SIGNAL.DASMON", body)


def _dasmon(instrument: str, at: datetime, body: Mapping[str, object]) -> OutgoingMessage:
    envelope = {"msg_type": DASMON_TYPE, "src_id": "DASMON_0", "dest_id": ""}
    return _topic(instrument, "APP.DASMON", {**envelope, "timestamp": _stamp(at), **body})


def _topic(instrument: str, kind: str, body: Mapping[str, object]) -> OutgoingMessage:
    return OutgoingMessage(f"/topic/SNS.{instrument}.{kind}", _encode(body), persistent=False)


def _stamp(at: datetime) -> str:
    return str(int(at.timestamp()))


def _encode(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode()
