"""The names of all queues and topics, and the two spellings in which they arrive.

A broker delivers a message with the prefix that its sender used, so one queue arrives as
`POSTPROCESS.DATA_READY` and as `/queue/POSTPROCESS.DATA_READY`. Agents compare literally: what
is sent to them carries `/queue/`.
"""

from collections.abc import Iterable

QUEUE_PREFIX = "/queue/"
TOPIC_PREFIX = "/topic/"

# A run ended and its file is complete; or a person asks for a step again.
POSTPROCESS_DATA_READY = "POSTPROCESS.DATA_READY"
CATALOG_REQUEST = "CATALOG.REQUEST"
REDUCTION_REQUEST = "REDUCTION.REQUEST"

# The wish for the last step alone has no queue on the wire; histories show it by this name.
REDUCTION_CATALOG_REQUEST = "REDUCTION_CATALOG.REQUEST"

# Jobs for agents.
CATALOG_JOBS = "CATALOG.ONCAT.DATA_READY"
REDUCTION_JOBS = "REDUCTION.DATA_READY"
HIGH_MEMORY_REDUCTION_JOBS = "REDUCTION.HIMEM.DATA_READY"
REDUCTION_CATALOG_JOBS = "REDUCTION_CATALOG.DATA_READY"
CALVERA_RAW_JOBS = "CALVERA.RAW.DATA_READY"
CALVERA_REDUCED_JOBS = "CALVERA.REDUCED.DATA_READY"
INTERSECT_RAW_JOBS = "INTERSECT.RAW.DATA_READY"
INTERSECT_REDUCED_JOBS = "INTERSECT.REDUCED.DATA_READY"
SCRIPT_REQUESTS = "REDUCTION.CREATE_SCRIPT"

# What agents report.
CATALOG_STARTED = "CATALOG.ONCAT.STARTED"
CATALOG_COMPLETE = "CATALOG.ONCAT.COMPLETE"
CATALOG_ERROR = "CATALOG.ONCAT.ERROR"
REDUCTION_STARTED = "REDUCTION.STARTED"
REDUCTION_COMPLETE = "REDUCTION.COMPLETE"
REDUCTION_ERROR = "REDUCTION.ERROR"
REDUCTION_DISABLED = "REDUCTION.DISABLED"
REDUCTION_NOT_NEEDED = "REDUCTION.NOT_NEEDED"
REDUCTION_CATALOG_STARTED = "REDUCTION_CATALOG.STARTED"
REDUCTION_CATALOG_COMPLETE = "REDUCTION_CATALOG.COMPLETE"
REDUCTION_CATALOG_ERROR = "REDUCTION_CATALOG.ERROR"
REDUCED_CATALOG_ERROR_OF_OLD_AGENTS = "CATALOG.ERROR"
POSTPROCESS_ERROR = "POSTPROCESS.ERROR"
CALVERA_RAW_COMPLETE = "CALVERA.RAW.COMPLETE"
CALVERA_RAW_ERROR = "CALVERA.RAW.ERROR"
CALVERA_REDUCED_COMPLETE = "CALVERA.REDUCED.COMPLETE"
CALVERA_REDUCED_ERROR = "CALVERA.REDUCED.ERROR"
INTERSECT_RAW_COMPLETE = "INTERSECT.RAW.COMPLETE"
INTERSECT_RAW_ERROR = "INTERSECT.RAW.ERROR"
INTERSECT_REDUCED_COMPLETE = "INTERSECT.REDUCED.COMPLETE"
INTERSECT_REDUCED_ERROR = "INTERSECT.REDUCED.ERROR"

# Recorded, with no effect on a step.
POSTPROCESS_INFO = "POSTPROCESS.INFO"
POSTPROCESS_CHECK = "POSTPROCESS.CHECK"
LEGACY_CATALOG_STARTED = "CATALOG.STARTED"
LEGACY_CATALOG_COMPLETE = "CATALOG.COMPLETE"
TRANSLATION_STARTED = "TRANSLATION.STARTED"
TRANSLATION_COMPLETE = "TRANSLATION.COMPLETE"
FERMI_REDUCTION = "FERMI_REDUCTION.DATA_READY"

# Run messages of the data acquisition (topic <facility>.<instrument>.APP.SMS) are recorded
# under this name, because the topic's own name carries the instrument.
SMS = "SMS"
FACILITIES = ("SNS", "HFIR")

# Where brokers put what nobody could take: of Artemis and of ours, and of Classic as it comes.
DEAD_LETTER_QUEUES = ("DLQ", "ExpiryQueue", "ActiveMQ.DLQ")

WORKFLOW_HEARTBEAT = "/topic/SNS.COMMON.STATUS.WORKFLOW.0"
AGENT_HEARTBEAT = "/topic/SNS.COMMON.STATUS.AUTOREDUCE.0"
PING = "/topic/SNS.COMMON.STATUS.PING"
# Where agents answer the workflow manager's own pings; the listener's answers go to `….ACK`.
WORKFLOW_ACK = "/topic/SNS.COMMON.STATUS.WORKFLOW.ACK"


def bare_name(destination: str) -> str:
    """The name without its prefix: `/queue/A.B` and `A.B` are the same queue."""
    return destination.removeprefix(QUEUE_PREFIX).removeprefix(TOPIC_PREFIX)


def queue(name: str) -> str:
    """The spelling in which we send to and subscribe to a queue."""
    return QUEUE_PREFIX + name


def sms_topics(facilities: Iterable[str]) -> list[str]:
    """Where the data acquisition of these facilities tells about runs, of all instruments."""
    return [f"{TOPIC_PREFIX}{facility}.*.APP.SMS" for facility in facilities]


def spellings(destination: str) -> tuple[str, str, str]:
    """All ways in which this destination may have arrived."""
    name = bare_name(destination)
    return (name, QUEUE_PREFIX + name, TOPIC_PREFIX + name)


def is_sms_topic(destination: str) -> bool:
    return bare_name(destination).endswith(".APP.SMS")


def facility_of_topic(destination: str) -> str:
    """The facility in `<facility>.<INSTRUMENT>.<rest>`."""
    return bare_name(destination).split(".")[0]
