"""Reduction: the instrument's script, as a supervised program under limits."""

import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from postprocessing.execution.limits import total_memory
from postprocessing.execution.program import MARK, Outcome, Program
from postprocessing.jobs.kind import Kind, Workplace
from postprocessing.jobs.verdict import verdict
from postprocessing.reports import Ending
from postprocessing.request import Run
from workflow_manager.domain import destinations as names

log = logging.getLogger(__name__)

PREFIX = "REDUCTION: "
SITE = Path(__file__).resolve().parents[1] / "site"
# All that a script inherits of the agent's environment.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Files:
    """Where a reduction reads and writes."""

    scripts: Path
    output: Path
    base: str
    instrument: str
    proposal: str

    @property
    def script(self) -> Path:
        return self.scripts / f"reduce_{self.instrument}.py"

    @property
    def summary_script(self) -> Path:
        return self.scripts / f"sumRun_{self.instrument}.py"

    @property
    def summary(self) -> Path:
        return self.output / f"{self.instrument}_{self.proposal}_runsummary.csv"

    @property
    def log(self) -> Path:
        return self.output / "reduction_log" / f"{self.base}.log"

    @property
    def errors(self) -> Path:
        return self.output / "reduction_log" / f"{self.base}.err"


def files_of(run: Run, workplace: Workplace) -> Files:
    return Files(
        scripts=workplace.config.dev_instrument_shared or run.scripts,
        output=workplace.config.dev_output_dir or run.output,
        base=run.data_file.name,
        instrument=run.instrument,
        proposal=run.proposal,
    )


def perform(run: Run, workplace: Workplace) -> Ending:
    """Reduce one run.

    Raises:
        StoppedError: the agent stops.
        OSError: the facility's tree cannot be used.
    """
    files = files_of(run, workplace)
    files.log.parent.mkdir(parents=True, exist_ok=True)
    if workplace.config.communication_only:
        files.log.write_bytes(b"")
        return Ending(names.REDUCTION_COMPLETE)
    program = _reduction(run, files, workplace)
    # What has run under an agent that was killed is judged as it ended, and its files stay.
    if not program.has_run:
        if files.summary_script.exists():
            workplace.executor.run(_summary(run, files, workplace))
        if not files.script.exists():
            return Ending(names.REDUCTION_DISABLED)
        _keep_previous(files.log)
    return _ending(workplace.executor.run(program), files, workplace)


def _reduction(run: Run, files: Files, workplace: Workplace) -> Program:
    command = (*workplace.config.python_exec, str(files.script))
    argv = (*command, str(run.data_file), f"{files.output}/")
    return _program("reduction", argv, files, workplace)


def _summary(run: Run, files: Files, workplace: Workplace) -> Program:
    python = shutil.which("python") or "python3"
    argv = (python, str(files.summary_script), run.instrument, str(run.data_file))
    program = _program("summary", (*argv, str(files.summary)), files, workplace)
    folder, base = files.log.parent, files.base
    return replace(
        program, stdout=folder / f"{base}.summary.log", stderr=folder / f"{base}.summary.err"
    )


def _program(name: str, argv: tuple[str, ...], files: Files, workplace: Workplace) -> Program:
    config = workplace.config
    return Program(
        argv=argv,
        cwd=files.output,
        environment=_environment(workplace),
        stdout=files.log,
        stderr=files.errors,
        time_limit=config.task_time_limit_minutes * 60,
        memory_limit=int(total_memory() * config.system_mem_limit_perc / 100),
        period=config.mem_check_interval_sec,
        nice=workplace.nice,
        result=workplace.results.with_suffix(f".{name}"),
    )


def _environment(workplace: Workplace) -> dict[str, str]:
    """An allow-list: what the agent knows (passwords, tokens) is none of a script's business."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    wanted = {**inherited, **workplace.config.work_environment}
    wanted["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SITE), wanted.get("PYTHONPATH"))))
    wanted["WEBMON_PUBLISH_CONFIG"] = str(workplace.publisher_config)
    wanted[MARK] = workplace.mark
    return wanted


def _keep_previous(log: Path) -> None:
    """The log of the reduction before this one stays beside the new one."""
    for path in (log, log.with_suffix(".err")):
        if path.exists():
            path.replace(path.with_suffix(f".previous{path.suffix}"))


def _ending(outcome: Outcome, files: Files, workplace: Workplace) -> Ending:
    judged = verdict(outcome, workplace.config.exceptions, str(files.log))
    failed = judged.error is not None
    if outcome.log_problem:
        log.warning("output of a script was lost: %s", outcome.log_problem)
    if not failed:
        files.errors.unlink(missing_ok=True)
    return Ending(
        destination=names.REDUCTION_ERROR if failed else names.REDUCTION_COMPLETE,
        error=PREFIX + judged.error if judged.error is not None else None,
        remark=judged.tolerated,
        detail=outcome.stderr if failed else None,
        exit_code=outcome.exit_code,
        peak_memory=outcome.peak_memory,
    )


REDUCTION = Kind(
    processor="reduction_processor.ReductionProcessor",
    queue=names.REDUCTION_JOBS,
    started=names.REDUCTION_STARTED,
    error=names.REDUCTION_ERROR,
    prefix="Reduction: ",
    runs_scripts=True,
    perform=perform,
)
HIGH_MEMORY_REDUCTION = Kind(
    processor="reduction_processor.ReductionProcessorHighMemory",
    queue=names.HIGH_MEMORY_REDUCTION_JOBS,
    started=names.REDUCTION_STARTED,
    error=names.REDUCTION_ERROR,
    prefix="Reduction: ",
    runs_scripts=True,
    perform=perform,
)
