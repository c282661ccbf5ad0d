"""Queues in the words of a beamline; the raw names stay visible in small print."""

from workflow_manager.domain import destinations as names

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
