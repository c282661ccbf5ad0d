"""Cataloguing of reduced data: pass on the record that a reduction script wrote."""

import json
from pathlib import Path

from postprocessing.gateways.oncat import CatalogueError
from postprocessing.jobs.cataloguing import without_catalogue
from postprocessing.jobs.kind import Kind, Workplace
from postprocessing.reports import Ending
from postprocessing.request import Run
from workflow_manager.domain import destinations as names


def perform(run: Run, workplace: Workplace) -> Ending:
    """Catalogue the reduction; a script that wrote no record has nothing to catalogue."""
    if workplace.catalogue is None:
        return Ending(names.REDUCTION_CATALOG_COMPLETE, remark=without_catalogue(workplace))
    record = run.output / (run.data_file.name.removesuffix(".nxs.h5") + ".json")
    if not _is_record(record):
        remark = f"{workplace.config.agent_name}: the reduction left no record, nothing was sent"
        return Ending(names.REDUCTION_CATALOG_COMPLETE, remark=remark)
    try:
        workplace.catalogue.ingest_reduced("/" + str(record.relative_to(run.facility_root)))
    except CatalogueError as error:
        return Ending(names.REDUCTION_CATALOG_ERROR, error=f"ONCAT: {error}")
    return Ending(names.REDUCTION_CATALOG_COMPLETE)


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"input_files", "output_files"} <= content.keys()


REDUCTION_CATALOGUING = Kind(
    processor="oncat_reduced_processor.ONCatProcessor",
    queue=names.REDUCTION_CATALOG_JOBS,
    started=names.REDUCTION_CATALOG_STARTED,
    error=names.REDUCTION_CATALOG_ERROR,
    prefix="ONCAT: ",
    runs_scripts=False,
    perform=perform,
)
