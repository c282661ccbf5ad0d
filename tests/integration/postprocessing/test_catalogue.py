"""What is sent to a catalogue, with a fake in its place and real files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postprocessing.config import parse
from postprocessing.execution.program import Executor, Supervisors
from postprocessing.gateways.oncat import CatalogueError
from postprocessing.jobs import cataloguing, reduction_cataloguing
from postprocessing.jobs.kind import Workplace
from postprocessing.reports import Ending
from postprocessing.request import run_of
from tests.integration.postprocessing.facility import Facility


class FakeCatalogue:
    """Remembers what it is sent; `problem` makes it fail."""

    def __init__(self, images: list[str] | None = None, problem: str = "") -> None:
        self.sent: list[Any] = []
        self._answer = {"indexed": {"run_number": 5}, "images": images or []}
        self._problem = problem

    def ingest_raw(self, path: str) -> Mapping[str, Any]:
        if self._problem:
            raise CatalogueError(self._problem)
        self.sent.append(path)
        return self._answer

    def ingest_reduced(self, path: str) -> None:
        self.sent.append(path)

    def ingest_batch(self, paths: Sequence[str]) -> None:
        self.sent.append(list(paths))


def workplace(facility: Facility, catalogue: FakeCatalogue) -> Workplace:
    config = parse(
        {
            "amq_user": "u",
            "amq_pwd": "p",
            "brokers": [["a", 1]],
            "agent_name": "node7",
            "image_filepath_metadata_paths": ["images"],
        }
    )
    return Workplace(
        config=config,
        executor=Executor(Supervisors()),
        catalogue=catalogue,
        mark="m",
        results=facility.root / "results",
        publisher_config=facility.root / "publisher.json",
    )


def test_raw_file_detector_files_and_images_of_the_run(facility: Facility) -> None:
    run = run_of(facility.job(5), facility.root)
    proposal = facility.root / "SNS/ARCS/IPTS-1"
    for name in ("images/det_1/ARCS_5_det_1.h5", "ct/Run_5_a.tiff", "ct/Run_51_a.tiff"):
        (proposal / name).parent.mkdir(parents=True, exist_ok=True)
        (proposal / name).touch()
    facility.script("", kind="catalog")
    catalogue = FakeCatalogue(images=["ct", "../../../../etc"])
    assert cataloguing.perform(run, workplace(facility, catalogue)) == Ending(
        "CATALOG.ONCAT.COMPLETE"
    )
    assert catalogue.sent == [
        "/SNS/ARCS/IPTS-1/nexus/ARCS_5.nxs.h5",
        "/SNS/ARCS/IPTS-1/images/det_1/ARCS_5_det_1.h5",
        ["/SNS/ARCS/IPTS-1/ct/Run_5_a.tiff"],
    ]


def test_a_catalogue_that_refuses_is_an_error(facility: Facility) -> None:
    run = run_of(facility.job(5), facility.root)
    ending = cataloguing.perform(run, workplace(facility, FakeCatalogue(problem="Bad request")))
    assert ending == Ending("CATALOG.ONCAT.ERROR", error="ONCAT: Bad request")


def test_the_record_of_a_reduction_is_passed_on(facility: Facility, tmp_path: Path) -> None:
    run = run_of(facility.job(5), facility.root)
    catalogue = FakeCatalogue()
    without = reduction_cataloguing.perform(run, workplace(facility, catalogue))
    assert without.remark == "node7: the reduction left no record, nothing was sent"
    facility.output().mkdir(parents=True)
    record = facility.output() / "ARCS_5.json"
    record.write_text('{"input_files": [], "output_files": []}')
    ending = reduction_cataloguing.perform(run, workplace(facility, catalogue))
    assert ending == Ending("REDUCTION_CATALOG.COMPLETE")
    assert catalogue.sent == [f"/{record.relative_to(tmp_path / 'facility')}"]
