"""Cataloguing: tell the catalogue about a run's raw data and the images that belong to it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postprocessing.gateways.oncat import Catalogue, CatalogueError
from postprocessing.jobs.kind import Kind, Workplace
from postprocessing.jobs.reduction import files_of
from postprocessing.reports import Ending
from postprocessing.request import Run
from workflow_manager.domain import destinations as names

_IMAGE_TYPES = ("*.fits", "*.tiff")
_LARGEST_BATCH = 50


def perform(run: Run, workplace: Workplace) -> Ending:
    """Catalogue the raw file; without a catalogue say so and succeed."""
    if workplace.catalogue is None:
        return Ending(names.CATALOG_COMPLETE, remark=without_catalogue(workplace))
    try:
        _ingest(run, workplace, workplace.catalogue)
    except CatalogueError as error:
        return Ending(names.CATALOG_ERROR, error=f"ONCAT: {error}")
    return Ending(names.CATALOG_COMPLETE)


def without_catalogue(workplace: Workplace) -> str:
    name = workplace.config.agent_name
    return f"{name}: no catalogue is configured, nothing was sent"


def _ingest(run: Run, workplace: Workplace, catalogue: Catalogue) -> None:
    answer = catalogue.ingest_raw(run.catalogue_path)
    number = _at(answer, "indexed.run_number")
    if number is None:
        return
    for path in sorted(run.images.glob(f"det_*/{run.instrument}_{number}_det_*")):
        catalogue.ingest_raw(_as_on_facility(path, run))
    if (files_of(run, workplace).scripts / f"catalog_{run.instrument}.py").exists():
        images = _images(answer, run, workplace.config.image_filepath_metadata_paths)
        wanted = [path for path in images if _is_of_run(path, str(number))]
        for first in range(0, len(wanted), _LARGEST_BATCH):
            catalogue.ingest_batch(wanted[first : first + _LARGEST_BATCH])


def _at(answer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    value: Any = answer
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _images(answer: Mapping[str, Any], run: Run, paths: tuple[str, ...]) -> list[str]:
    """The image files at the places that the answer names, each once, as on the facility."""
    root = run.images.parent
    found: dict[str, None] = {}
    for path in paths:
        value = _at(answer, path)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                files = _files_at(root / name, root)
                found.update((_as_on_facility(each, run), None) for each in files)
    return list(found)


def _files_at(place: Path, root: Path) -> list[Path]:
    # The name comes from a data file: it must not lead out of the proposal.
    if not place.resolve().is_relative_to(root.resolve()):
        return []
    if place.is_dir():
        return [path for kind in _IMAGE_TYPES for path in sorted(place.glob(kind))]
    return [place] if place.is_file() else []


def _as_on_facility(path: Path, run: Run) -> str:
    return "/" + str(path.relative_to(run.facility_root))


def _is_of_run(path: str, number: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return re.search(rf"(^|_)Run_{re.escape(number.lstrip('0'))}(\D|$)", name) is not None


CATALOGUING = Kind(
    processor="oncat_processor.ONCatProcessor",
    queue=names.CATALOG_JOBS,
    started=names.CATALOG_STARTED,
    error=names.CATALOG_ERROR,
    prefix="ONCAT: ",
    runs_scripts=False,
    perform=perform,
)
