"""A script that ended while its agent was being killed: how it ended is adopted, not repeated."""

import signal
import sys
from pathlib import Path

import psutil
import pytest

from postprocessing.config import parse
from postprocessing.execution.program import Executor, Program, Supervisors
from postprocessing.jobs.kind import Workplace
from postprocessing.jobs.reduction import perform
from postprocessing.request import Run, run_of
from tests.integration.postprocessing.facility import Facility, wait_until

COUNT = "open('runs', 'a').write('x')\n"


def _workplace(facility: Facility) -> Workplace:
    """What an agent gives to a job; the next agent with the same journal gives the same."""
    settings = {"amq_user": "u", "amq_pwd": "p", "brokers": [["a", 1]]}
    results = facility.root / "results"
    results.mkdir(exist_ok=True)
    return Workplace(
        config=parse(
            {
                **settings,
                "python_exec": f"{sys.executable} -I -S",
                "exceptions": ["harmless"],
                "task_time_limit_minutes": 1 / 120,
            }
        ),
        executor=Executor(Supervisors()),
        catalogue=None,
        mark="key",
        results=results / "key",
        publisher_config=facility.root / "publisher.json",
    )


def _run(facility: Facility) -> Run:
    return run_of(facility.job(7), facility.root)


def _logs(facility: Facility) -> dict[str, bytes]:
    folder = facility.output() / "reduction_log"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("script", "destination"),
    [
        pytest.param("print('fine')", "REDUCTION.COMPLETE", id="success"),
        pytest.param("sys.stderr.write('harmless')", "REDUCTION.COMPLETE", id="tolerated"),
        pytest.param(
            "sys.stderr.write('ValueError: bad bank 7\\n')", "REDUCTION.ERROR", id="exit 0"
        ),
        pytest.param("raise ValueError('bad bank 7')", "REDUCTION.ERROR", id="exit 1"),
        pytest.param("import time; time.sleep(600)", "REDUCTION.ERROR", id="limit"),
    ],
)
def test_an_agent_killed_before_it_could_say_so_is_followed_by_one_that_says_the_same(
    facility: Facility, script: str, destination: str
) -> None:
    facility.script(f"import sys\n{COUNT}{script}")
    first = perform(_run(facility), _workplace(facility))
    written = _logs(facility)
    assert first.destination == destination
    assert perform(_run(facility), _workplace(facility)) == first
    assert _logs(facility) == written
    assert (facility.output() / "runs").read_text() == "x"


def test_the_files_of_a_later_reduction_do_not_change_how_it_ended(facility: Facility) -> None:
    facility.script("import sys; sys.stderr.write('ValueError: bad bank 7\\n')")
    first = perform(_run(facility), _workplace(facility))
    (facility.output() / "reduction_log" / "ARCS_7.nxs.h5.err").unlink()
    assert perform(_run(facility), _workplace(facility)) == first


def test_a_script_that_was_taken_away_has_run_all_the_same(facility: Facility) -> None:
    facility.script("print('fine')")
    first = perform(_run(facility), _workplace(facility))
    (_run(facility).scripts / "reduce_ARCS.py").unlink()
    assert perform(_run(facility), _workplace(facility)) == first


def test_a_limit_is_told_in_the_error_file_and_not_as_the_scripts_words(
    facility: Facility,
) -> None:
    facility.script("import sys, time; sys.stderr.write('half\\n'); time.sleep(600)")
    ending = perform(_run(facility), _workplace(facility))
    said = (facility.output() / "reduction_log" / "ARCS_7.nxs.h5.err").read_text()
    assert ending.detail == "half\n"
    assert said == f"half\n\n{(ending.error or '').removeprefix('REDUCTION: ')}\n"


def test_an_outcome_counts_even_if_it_cannot_be_stored(facility: Facility) -> None:
    facility.script("raise ValueError('bad bank 7')")
    workplace = _workplace(facility)
    workplace.results.with_suffix(".reduction.part").mkdir()
    assert perform(_run(facility), workplace).error == "REDUCTION: bad bank 7"


WAITS = """
import pathlib, time
pathlib.Path('ready').touch()
while not pathlib.Path('go').exists():
    time.sleep(0.01)
"""


def test_a_script_that_ended_by_itself_when_the_agent_went_has_run(tmp_path: Path) -> None:
    """The supervisor hears of both at once, as it does on a machine that is busy."""
    program = Program(
        argv=(sys.executable, "-I", "-S", "-c", WAITS),
        cwd=tmp_path,
        environment={},
        stdout=tmp_path / "log",
        stderr=tmp_path / "errors",
        time_limit=60,
        memory_limit=2**40,
        result=tmp_path / "result",
    )
    supervisor = Supervisors().take()
    assert supervisor.stdin is not None
    supervisor.stdin.write(program.order())
    wait_until((tmp_path / "ready").exists)
    (script,) = psutil.Process(supervisor.pid).children()
    supervisor.send_signal(signal.SIGSTOP)
    (tmp_path / "go").touch()
    wait_until(lambda: script.status() == psutil.STATUS_ZOMBIE)
    supervisor.stdin.close()
    supervisor.send_signal(signal.SIGCONT)
    supervisor.wait(20)
    assert program.has_run
    outcome = Executor(Supervisors()).run(program)
    assert (outcome.exit_code, outcome.reason) == (0, None)
