"""An agent with slots whose jobs take time and no processor: it shows who waits for whom.

BENCH_USER=… BENCH_PASSWORD=… python -m benchmarks.paced_agent HOST:PORT SLOTS SECONDS
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import closing

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import Delivery, OutgoingMessage, Publisher, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

_QUEUES = (names.CATALOG_JOBS, names.REDUCTION_JOBS, names.REDUCTION_CATALOG_JOBS)
_NAME = "paced"


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    slots, seconds = int(sys.argv[2]), float(sys.argv[3])
    config = BrokerConfig(
        ((host, int(port)),), os.environ["BENCH_USER"], os.environ["BENCH_PASSWORD"]
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    workers = [threading.Thread(target=work, args=(config, seconds, stop)) for _ in range(slots)]
    for worker in workers:
        worker.start()
    tell(config, slots, stop)
    for worker in workers:
        worker.join()


def work(config: BrokerConfig, seconds: float, stop: threading.Event) -> None:
    """One slot: one job at a time, acknowledged when its end is reported."""
    wanted = [Subscription(names.queue(name), prefetch=1) for name in _QUEUES]
    subscriber = StompSubscriber(config)
    with (
        closing(StompPublisher(config)) as publisher,
        Consumer(subscriber, wanted, capacity=len(wanted)) as consumer,
    ):
        for [job] in consumer.batches(size=1, wait=0, until=stop):
            content = {**json.loads(job.body), "information": _NAME, "agent": _NAME}
            _report(publisher, job, content, "STARTED")
            # Cataloguing is quick; what is asked here is who gets the slots for reductions.
            stop.wait(seconds if "REDUCTION.DATA" in job.destination else 0)
            _report(publisher, job, content, "COMPLETE")
            subscriber.ack_all([job])


def _report(publisher: Publisher, job: Delivery, content: Mapping[str, object], end: str) -> None:
    queue = names.bare_name(job.destination).replace("DATA_READY", end)
    publisher.publish([OutgoingMessage(names.queue(queue), encode(content))])


def tell(config: BrokerConfig, slots: int, stop: threading.Event) -> None:
    """The workflow manager learns how many slots there are."""
    card = {"src_name": _NAME, "role": "postprocessing", "status": "0", "pid": str(os.getpid())}
    heartbeat = OutgoingMessage(
        names.AGENT_HEARTBEAT, encode({**card, "slots": slots}), persistent=False
    )
    with closing(StompPublisher(config)) as publisher:
        while not stop.is_set():
            publisher.publish([heartbeat])
            stop.wait(2)


if __name__ == "__main__":
    main()
