"""python -m benchmarks.instruments: many instruments send status values at a steady rate.

A process of its own, so that it shares no interpreter with what is measured. Broker and password
come on standard input, as JSON.
"""

import argparse
import json
import sys
import time
from contextlib import closing

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.ports import OutgoingMessage
from workflow_manager.broker.stomp_broker import StompPublisher

VALUES_PER_MESSAGE = 20
SEQUENCE = "sequence"
_TICK = 0.02  # seconds


def name(number: int) -> str:
    return f"BENCH{number:02}"


def message(instrument: str, sequence: int, now: float) -> OutgoingMessage:
    """What DASMON tells of the beam, twenty values with the envelope; all are texts."""
    rate = 90_000 + 500 * (sequence % 37)
    body = {
        "msg_type": "2696937472",
        "src_id": "DASMON_0",
        "timestamp": f"{now:.6f}",
        SEQUENCE: str(sequence),
        "count_rate": f"{rate}.4",
        "pulse_charge": f"23.{sequence % 89}",
        "pulse_freq": "60",
        "pixel_error_rate": "0",
        "stream_bps": str(40 * rate),
        "total_time": f"{sequence / 40:.3f}",
        "total_counts": str(rate * sequence),
        "total_charge": f"{23.1 * sequence:.6g}",
        "pixel_error_count": "0",
        "dup_pulse_count": "0",
        "pulse_veto_count": str(sequence % 11),
        "mapping_error_count": "0",
        "missing_rtdl_count": "0",
        "got_metadata_count": str(sequence),
        "got_neutrons_count": str(sequence),
        "total_pulses_count": str(3 * sequence),
    }
    return OutgoingMessage(
        f"/topic/SNS.{instrument}.APP.DASMON", json.dumps(body).encode(), persistent=False
    )


def send(broker: BrokerConfig, instruments: int, rate: float, seconds: float) -> int:
    """Send messages in turn for all instruments; return how many were sent."""
    began, sent = time.time(), 0
    with closing(StompPublisher(broker)) as publisher:
        while (passed := time.time() - began) < seconds:
            due = int(passed * rate) - sent
            now = time.time()
            publisher.publish(
                [
                    message(name(each % instruments), each // instruments, now)
                    for each in range(sent, sent + due)
                ]
            )
            sent += due
            time.sleep(_TICK)
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instruments", description=__doc__)
    parser.add_argument("--instruments", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="messages a second, of all")
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    where = json.load(sys.stdin)
    broker = BrokerConfig(((where["host"], where["port"]),), where["user"], where["password"])
    print(send(broker, options.instruments, options.rate, options.seconds))


if __name__ == "__main__":
    main()
