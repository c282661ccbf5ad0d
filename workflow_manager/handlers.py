"""From deliveries to services: what the process reacts to, and what it does with the rest."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from django.db import InterfaceError, OperationalError

from workflow_manager import services
from workflow_manager.broker.ports import Delivery
from workflow_manager.protocol.codec import DecodeError, decode, sent_at
from workflow_manager.services import Received, Rejection

log = logging.getLogger(__name__)


def handle(deliveries: Sequence[Delivery], facility_root: PurePosixPath) -> None:
    """Record a batch; on return everything is committed and may be acknowledged.

    A batch that fails is handled one by one, so that only what is bad is rejected.

    Raises:
        OperationalError, InterfaceError: the database is away; nothing was recorded.
    """
    received, rejections = _decoded(deliveries, facility_root)
    try:
        services.record(received, rejections)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # Whatever is wrong with a message, or with us, must not stop the daemon: the message is
        # kept with the reason, and the log has the traceback.
        if len(deliveries) == 1:
            log.exception("A message on %s cannot be recorded", deliveries[0].destination)
            services.record([], [_rejection(deliveries[0], f"It cannot be recorded: {error}")])
            return
        log.warning("A batch of %d failed, taking it one by one: %s", len(deliveries), error)
        for delivery in deliveries:
            handle([delivery], facility_root)


def _decoded(
    deliveries: Sequence[Delivery], facility_root: PurePosixPath
) -> tuple[list[Received], list[Rejection]]:
    received, rejections = [], []
    now = datetime.now(UTC)
    for delivery in deliveries:
        try:
            message = decode(delivery.destination, delivery.body, facility_root)
        except DecodeError as error:
            log.warning("Rejected a message on %s: %s", delivery.destination, error.reason)
            rejections.append(_rejection(delivery, error.reason))
        else:
            sent = sent_at(message.body, delivery.headers)
            received.append(Received(message, delivery.message_id, now, sent))
    return received, rejections


def _rejection(delivery: Delivery, reason: str) -> Rejection:
    return Rejection(
        delivery.destination, delivery.message_id, delivery.headers, delivery.body, reason
    )
