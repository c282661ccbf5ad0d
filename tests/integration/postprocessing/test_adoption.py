"""A script that ended while its agent was being killed: how it ended is adopted, not repeated."""

import json
from pathlib import Path

from postprocessing.config import parse
from postprocessing.execution.program import Executor, Supervisors
from postprocessing.jobs.kind import Workplace
from postprocessing.jobs.reduction import perform
from postprocessing.request import Run


def test_a_judged_success_whose_error_file_is_gone_is_still_a_success(tmp_path: Path) -> None:
    run = Run("SNS", "ARCS", "IPTS-1", "7", tmp_path / "ARCS_7.nxs.h5", tmp_path)
    run.scripts.mkdir(parents=True)
    (run.scripts / "reduce_ARCS.py").write_text("raise SystemExit('must not run again')")
    results = tmp_path / "results" / "key"
    results.parent.mkdir()
    ended: dict[str, object] = {
        "exit_code": 0,
        "signal": None,
        "reason": None,
        "message": "",
        "seconds": 1.0,
        "peak_memory": 1,
        "leftovers": 0,
        "unkillable": [],
        "log_problem": None,
    }
    results.with_suffix(".reduction").write_text(json.dumps(ended))
    config = parse(
        {
            "amq_user": "u",
            "amq_pwd": "p",
            "brokers": [["localhost", 1]],
            "postprocess_error": "POSTPROCESS.ERROR",
            "heart_beat": "/topic/T",
        }
    )
    workplace = Workplace(
        config=config,
        executor=Executor(Supervisors()),
        catalogue=None,
        mark="key",
        results=results,
        publisher_config=tmp_path / "publish.json",
    )
    ending = perform(run, workplace)
    assert (ending.destination, ending.error) == ("REDUCTION.COMPLETE", None)
