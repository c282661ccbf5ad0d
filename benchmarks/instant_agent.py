"""An agent that has done everything at once: STARTED and COMPLETE for each job, no script.

BENCH_USER=… BENCH_PASSWORD=… python -m benchmarks.instant_agent HOST:PORT
"""

import json
import os
import signal
import sys
import threading
from contextlib import closing

from workflow_manager.broker.config import BrokerConfig
from workflow_manager.broker.consumer import Consumer
from workflow_manager.broker.ports import Delivery, OutgoingMessage, Subscription
from workflow_manager.broker.stomp_broker import StompPublisher, StompSubscriber
from workflow_manager.domain import destinations as names
from workflow_manager.protocol.codec import encode

_REPORTS = {
    names.CATALOG_JOBS: (names.CATALOG_STARTED, names.CATALOG_COMPLETE),
    names.REDUCTION_JOBS: (names.REDUCTION_STARTED, names.REDUCTION_COMPLETE),
    names.REDUCTION_CATALOG_JOBS: (
        names.REDUCTION_CATALOG_STARTED,
        names.REDUCTION_CATALOG_COMPLETE,
    ),
}
_BATCH = 500


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    config = BrokerConfig(
        ((host, int(port)),), os.environ["BENCH_USER"], os.environ["BENCH_PASSWORD"]
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    serve(config, stop)


def serve(config: BrokerConfig, stop: threading.Event) -> None:
    """Answer until `stop` is set; a job is acknowledged after its reports were confirmed."""
    wanted = [Subscription(names.queue(name), prefetch=_BATCH) for name in _REPORTS]
    subscriber = StompSubscriber(config)
    with (
        closing(StompPublisher(config)) as publisher,
        Consumer(subscriber, wanted, capacity=_BATCH * len(wanted)) as consumer,
    ):
        for jobs in consumer.batches(size=_BATCH, wait=0.01, until=stop):
            publisher.publish([report for job in jobs for report in _reports(job)])
            subscriber.ack_all(jobs)


def _reports(job: Delivery) -> list[OutgoingMessage]:
    body = encode({**json.loads(job.body), "information": "instant"})
    queues = _REPORTS[names.bare_name(job.destination)]
    return [OutgoingMessage(names.queue(queue), body) for queue in queues]


if __name__ == "__main__":
    main()
