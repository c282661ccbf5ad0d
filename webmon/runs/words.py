"""Queues in the words of a beamline; the raw names stay visible in small print."""

import re

from workflow_manager.domain import destinations as names

# Queues are written in capitals with points between the words; names of people are not.
_QUEUE = re.compile(r"[A-Z0-9_]+(\.[A-Z0-9_]+)+")

# Who asks when nobody does: an attempt of which nothing was heard is made again.
RECOVERY = "recovery"

_WORDS = {
    names.POSTPROCESS_DATA_READY: "Run ended, data file complete",
    names.CATALOG_REQUEST: "Cataloguing asked for",
    names.REDUCTION_REQUEST: "Reduction asked for",
    names.CATALOG_JOBS: "Cataloguing given to agents",
    names.REDUCTION_JOBS: "Reduction given to agents",
    names.HIGH_MEMORY_REDUCTION_JOBS: "Reduction given to agents with much memory",
    names.REDUCTION_CATALOG_JOBS: "Reduction cataloguing given to agents",
    names.CATALOG_STARTED: "Cataloguing started",
    names.CATALOG_COMPLETE: "Cataloguing done",
    names.CATALOG_ERROR: "Cataloguing failed",
    names.REDUCTION_STARTED: "Reduction started",
    names.REDUCTION_COMPLETE: "Reduction done",
    names.REDUCTION_ERROR: "Reduction failed",
    names.REDUCTION_DISABLED: "No reduction script, reduction skipped",
    names.REDUCTION_NOT_NEEDED: "Marked as not needing reduction",
    names.REDUCTION_CATALOG_STARTED: "Reduction cataloguing started",
    names.REDUCTION_CATALOG_COMPLETE: "Reduction cataloguing done",
    names.REDUCTION_CATALOG_ERROR: "Reduction cataloguing failed",
    names.REDUCED_CATALOG_ERROR_OF_OLD_AGENTS: "Reduction cataloguing failed",
    names.POSTPROCESS_ERROR: "An agent could not begin",
    names.POSTPROCESS_INFO: "Note",
    names.POSTPROCESS_CHECK: "Checked",
    names.LEGACY_CATALOG_STARTED: "Cataloguing started (old catalogue)",
    names.LEGACY_CATALOG_COMPLETE: "Cataloguing done (old catalogue)",
    names.TRANSLATION_STARTED: "Writing of the data file started",
    names.TRANSLATION_COMPLETE: "Writing of the data file done",
    names.FERMI_REDUCTION: "Reduction given to the cluster",
    names.SMS: "Acquisition reported",
}


def event_words(queue: str) -> str:
    """What a message on this queue says; an unknown queue speaks for itself."""
    return _WORDS.get(names.bare_name(queue), "Message received")


def asked_by(requested_by: str) -> str:
    """What stands for a job's reason: the message before it in words, or the person's name."""
    if requested_by == RECOVERY:
        return "Sent again by itself"
    name = names.bare_name(requested_by)
    if name in _WORDS:
        return _WORDS[name]
    if not requested_by:
        return ""
    return f"After {name}" if _QUEUE.fullmatch(name) else f"Asked for by {requested_by}"
