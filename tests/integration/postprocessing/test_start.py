"""What happens between the supervisor's fork and the script's program."""

from pathlib import Path

from postprocessing.execution.program import Executor, Outcome, Program, Supervisors


def _outcome(folder: Path, program: str, path: str) -> Outcome:
    return Executor(Supervisors()).run(
        Program(
            argv=(program,),
            cwd=folder,
            environment={"PATH": path},
            stdout=folder / "log",
            stderr=folder / "err",
            time_limit=0.3,
            memory_limit=1 << 50,
        )
    )


def test_a_start_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    # Looking through so many folders takes as long as a file system that does not answer.
    outcome = _outcome(tmp_path, "program-of-nobody", ":".join(["/nowhere"] * 500_000))
    assert (outcome.reason, outcome.exit_code) == ("time", None)
    assert (tmp_path / "err").read_text() == f"{outcome.message}\n"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    outcome = _outcome(tmp_path, "program-of-nobody", "/nowhere")
    assert outcome.reason == "start"
    assert outcome.message == "program-of-nobody: No such file or directory"
