"""What stands on dead letters; the headers are those that real brokers were seen to give."""

import pytest

from workflow_manager.protocol.dead_letter import opened

CLASSIC_REFUSED = {
    "destination": "/queue/DLQ",
    "original-destination": "/queue/REDUCTION.DATA_READY",
    "originalExpiration": "0",
    "expires": "0",
    "message-id": "ID:vm-42015-1795238708376-1:2:-1:1:1",
    "timestamp": "1795238709217",
}
CLASSIC_EXPIRED = CLASSIC_REFUSED | {
    "dlqDeliveryFailureCause": "java.lang.Throwable: Message Expired. Expiration:1795238725752",
    "originalExpiration": "1795238725752",
}
CLASSIC_TIRED = CLASSIC_REFUSED | {
    "dlqDeliveryFailureCause": "java.lang.Throwable: Exceeded redelivery policy limit"
}
ARTEMIS_TIRED = {
    "destination": "/queue/DLQ",
    "message-id": "298,177",
    "timestamp": "1795238712835",
    "_AMQ_ORIG_QUEUE": "REDUCTION.DATA_READY",
    "_AMQ_ORIG_ROUTING_TYPE": "1",
    "_AMQ_ORIG_ADDRESS": "REDUCTION.DATA_READY",
    "_AMQ_ORIG_MESSAGE_ID": "142",
}
EMBEDDED = {
    "original-destination": "/queue/REDUCTION.DATA_READY",
    "dead-letter-reason": "refused, 5 times",
}
ARTEMIS_EXPIRED = ARTEMIS_TIRED | {"_AMQ_ACTUAL_EXPIRY": "1795238742328"}


@pytest.mark.parametrize(
    ("headers", "number", "reason"),
    [
        (CLASSIC_REFUSED, "given", "The broker gave up: a reader of REDUCTION.DATA_READY refused"),
        (CLASSIC_EXPIRED, "given", "It expired in REDUCTION.DATA_READY"),
        (CLASSIC_TIRED, "given", "it says: java.lang.Throwable: Exceeded redelivery policy limit"),
        (EMBEDDED, "given", "The broker gave up; about REDUCTION.DATA_READY it says: refused, 5 t"),
        (ARTEMIS_TIRED, "142@1795238712835", "The broker gave up: a reader of"),
        (ARTEMIS_TIRED | {"JMSXDeliveryCount": "3"}, "142@1795238712835", "after 3 deliveries"),
        (ARTEMIS_EXPIRED, "142@1795238712835", "It expired in REDUCTION.DATA_READY"),
    ],
)
def test_the_first_delivery_and_the_reason(
    headers: dict[str, str], number: str, reason: str
) -> None:
    letter = opened("/queue/DLQ", "given", headers)
    assert letter.destination == "/queue/REDUCTION.DATA_READY"
    assert letter.message_id == number
    assert reason in letter.reason


def test_what_was_for_a_topic_goes_back_to_the_topic() -> None:
    headers = {"_AMQ_ORIG_ADDRESS": "SNS.ARCS.APP.SMS", "_AMQ_ORIG_ROUTING_TYPE": "0"}
    assert opened("DLQ", "1", headers).destination == "/topic/SNS.ARCS.APP.SMS"


def test_a_letter_without_a_sender_stays_where_it_lay() -> None:
    letter = opened("/queue/ActiveMQ.DLQ", "7", {})
    assert (letter.destination, letter.message_id) == ("/queue/ActiveMQ.DLQ", "7")
    assert letter.reason == "It lay in ActiveMQ.DLQ, and nothing tells for whom it was."
