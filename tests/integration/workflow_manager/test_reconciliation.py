"""Files on disk and runs in the database, compared: real files, a real database."""

import io
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager.models import Discrepancy, Event, Instrument, Job, Run
from workflow_manager.reconciliation import (
    Kind,
    ReconciliationError,
    Scope,
    open_discrepancies,
    reconcile,
    reconcile_all,
)
from workflow_manager.tasks import reconcile_all as daily_task

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


class Tree:
    """A facility's tree, and the runs of ARCS in the database."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.arcs = root / "SNS" / "ARCS"
        (self.arcs / "IPTS-1" / "nexus").mkdir(parents=True)

    def file(
        self, number: int, place: str = "IPTS-1/nexus/ARCS_{}.nxs.h5", age: float = 3600
    ) -> str:
        path = self.arcs / place.format(number, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
        return "/" + str(path.relative_to(self.root))

    def run(self, number: int, data_file: str = "", at: datetime = HOUR_AGO) -> None:
        data_file = data_file or f"/SNS/ARCS/IPTS-1/nexus/ARCS_{number}.nxs.h5"
        take_in(
            arrival("POSTPROCESS.DATA_READY", f"r{number}", run_number=number, data_file=data_file)
        )
        Run.objects.filter(number=number).update(created_at=at, data_ready_at=at)

    def both(self, *numbers: int) -> None:
        for number in numbers:
            self.run(number, self.file(number))


@pytest.fixture
def tree(tmp_path: Path, settings: Settings) -> Tree:
    settings.FACILITY_ROOT = tmp_path
    return Tree(tmp_path)


def found(scope: Scope | None = None) -> list[tuple[str, int]]:
    return [(each.kind, each.number) for each in reconcile("ARCS", scope).findings]


def still_open() -> list[tuple[str, int]]:
    return sorted((each.kind, each.number) for each in open_discrepancies(limit=99))


def test_what_agrees_is_no_discrepancy(tree: Tree) -> None:
    tree.both(1, 2, 3)
    result = reconcile("arcs")
    assert (result.findings, result.notes, result.settled) == ([], [], 0)


def test_each_kind_is_found_kept_and_settled(tree: Tree) -> None:
    tree.both(1, 3, 5)
    tree.file(4)
    (tree.arcs / "IPTS-1/nexus/ARCS_5.nxs.h5").unlink()
    expected = [(Kind.NUMBER_MISSING, 2), (Kind.FILE_WITHOUT_RUN, 4), (Kind.RUN_WITHOUT_FILE, 5)]
    assert found() == found() == expected
    assert still_open() == sorted(expected)
    tree.both(2)
    tree.file(5)
    tree.run(4)
    assert reconcile("arcs").settled == 3
    assert still_open() == []
    assert Discrepancy.objects.count() == 3


def test_what_appears_again_is_open_again_from_then_on(tree: Tree) -> None:
    tree.both(1, 2)
    path = tree.arcs / "IPTS-1/nexus/ARCS_2.nxs.h5"
    path.unlink()
    reconcile("arcs")
    first = Discrepancy.objects.get()
    reconcile("arcs")
    assert Discrepancy.objects.get().found_at == first.found_at
    path.touch()
    reconcile("arcs")
    assert Discrepancy.objects.get().settled_at is not None
    path.unlink()
    reconcile("arcs")
    again = Discrepancy.objects.get()
    assert again.settled_at is None
    assert again.found_at > first.found_at


@pytest.mark.parametrize(
    "place",
    [
        "IPTS-9/nexus/ARCS_{}.nxs.h5",
        "IPTS-9/nexus/arcs_{}.nxs.h5",
        "IPTS-9/data/ARCS_{}_event.nxs",
        "IPTS-9/0/{}/NeXus/ARCS_{}_event.nxs",
        "2024_A_CAL/nexus/ARCS_{}.nxs.h5",
    ],
)
def test_all_layouts_are_known_and_adopted(tree: Tree, place: str) -> None:
    tree.both(1)
    path = tree.file(2, place)
    result = reconcile("ARCS", adopt=True)
    assert (result.adopted, result.findings) == ([2], [])
    run = Run.objects.get(number=2)
    assert (run.data_file, run.proposal.name) == (path, place.split("/", 1)[0])
    assert set(run.jobs.values_list("step", flat=True)) == {"cataloguing", "reduction"}


def test_an_adopted_file_says_so_and_is_adopted_once(tree: Tree) -> None:
    tree.file(7)
    with pytest.raises(ReconciliationError, match="No instrument ARCS is known"):
        reconcile("ARCS")
    assert reconcile("ARCS", adopt=True).adopted == [7]
    assert reconcile("ARCS", adopt=True).adopted == []
    event = Event.objects.get(queue="POSTPROCESS.DATA_READY")
    assert event.information == "Adopted by reconcile: the message never arrived."
    assert Job.objects.count() == 2
    assert Instrument.objects.get().facility == "SNS"


def test_adoptions_at_the_same_time_are_one(tree: Tree) -> None:
    for number in range(1, 20):
        tree.file(number)
    start = threading.Barrier(4)

    def adopt() -> None:
        start.wait(10)
        reconcile("ARCS", adopt=True)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(adopt) for _ in range(4)]:
            done.result()
    assert Event.objects.filter(queue="POSTPROCESS.DATA_READY").count() == 19
    assert Job.objects.count() == 38
    assert still_open() == []


def test_what_is_young_is_not_yet_a_discrepancy(tree: Tree) -> None:
    tree.both(1)
    tree.file(3, age=60)  # nor is number 2, which may come in its turn
    tree.run(5, at=datetime.now(UTC))
    assert found() == []


def test_symbolic_links_and_strange_names_are_not_followed(tree: Tree, tmp_path: Path) -> None:
    tree.both(1)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    (outside / "nexus").mkdir(parents=True)
    (outside / "nexus" / "ARCS_50.nxs.h5").touch()
    (tree.arcs / "IPTS-3").symlink_to(outside)
    (tree.arcs / "IPTS-1/nexus/ARCS_51.nxs.h5").symlink_to(outside / "nexus/ARCS_50.nxs.h5")
    (tree.arcs / "loop").symlink_to(tree.arcs)
    for name in ("ARCS_2147483648.nxs.h5", "ARCS_52.nxs.h5\n", "ARCS_53_histo.nxs", "ARCS_x.nxs"):
        (tree.arcs / "IPTS-1/nexus" / name).touch()
    (tree.arcs / "IPTS-1/nexus/ARCS_54.nxs.h5").mkdir()
    os.mkfifo(tree.arcs / "IPTS-1/nexus/ARCS_55.nxs.h5")
    with (tree.arcs / "IPTS-1").joinpath(os.fsdecode(b"\xff")).open("w"):
        assert found() == []


def test_a_number_out_of_all_proportion_makes_no_gap(tree: Tree) -> None:
    tree.both(1)
    tree.file(2_000_000_000)
    result = reconcile("arcs")
    assert [each.kind for each in result.findings] == [Kind.FILE_WITHOUT_RUN]
    assert "too many to be missing" in result.notes[0]


def test_a_path_that_leaves_the_tree_is_not_looked_at(tree: Tree) -> None:
    tree.both(1)
    tree.run(2)
    Run.objects.filter(number=2).update(data_file="/SNS/ARCS/../../../etc/hostname")
    result = reconcile("arcs")
    assert result.findings == []
    assert "no path in the facility's tree" in result.notes[0]


@pytest.mark.parametrize("what", ["root", "instrument", "proposals"])
def test_a_file_server_that_is_away_raises_no_alarms(tree: Tree, what: str) -> None:
    tree.both(*range(1, 30))
    away = {"root": tree.root / "SNS", "instrument": tree.arcs, "proposals": tree.arcs / "IPTS-1"}
    away[what].rename(tree.root / "elsewhere")
    with pytest.raises(ReconciliationError, match="is the file server there"):
        reconcile("arcs")
    assert still_open() == []
    assert reconcile_all() == 0


def test_many_files_gone_at_once_are_one_sentence(tree: Tree) -> None:
    tree.both(*range(1, 30))
    (tree.arcs / "IPTS-1").rename(tree.root / "elsewhere")
    (tree.arcs / "IPTS-2" / "nexus").mkdir(parents=True)
    result = reconcile("arcs")
    assert result.findings == []
    assert result.notes[0].startswith("The files of 29 runs are not there, and of 0 they are")


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom permissions hold back: the superuser reads everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def public_tree(settings: Settings) -> Iterator[Tree]:
    """A tree that others may enter too."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        settings.FACILITY_ROOT = root
        yield Tree(root)


def test_what_cannot_be_read_is_told_and_nothing_concluded(public_tree: Tree) -> None:
    public_tree.both(1, 3)
    public_tree.run(4, "/SNS/ARCS/IPTS-2/nexus/ARCS_4.nxs.h5")
    reconcile("arcs")
    assert still_open() == [(Kind.NUMBER_MISSING, 2), (Kind.RUN_WITHOUT_FILE, 4)]
    hidden = public_tree.arcs / "IPTS-2" / "nexus"
    hidden.mkdir(parents=True)
    hidden.chmod(0)
    public_tree.run(2, public_tree.file(2))
    with without_privileges():
        result = reconcile("arcs")
    assert (result.findings, result.settled) == ([], 0)
    assert result.notes == [
        f"{hidden} cannot be read: Permission denied.",
        "Of 1 runs the file cannot be seen: /SNS/ARCS/IPTS-2/nexus/ARCS_4.nxs.h5 cannot be looked "
        "at: Permission denied.",
    ]
    hidden.chmod(0o755)
    assert reconcile("arcs").settled == 1


def test_an_instrument_whose_folder_cannot_be_read_is_told(public_tree: Tree) -> None:
    public_tree.both(1, 3)
    public_tree.arcs.chmod(0)
    with (
        without_privileges(),
        pytest.raises(ReconciliationError, match="ARCS cannot be read: Permission denied"),
    ):
        reconcile("arcs")


def test_only_some_numbers_or_a_time(tree: Tree) -> None:
    tree.both(1)
    tree.run(10, at=HOUR_AGO)
    Run.objects.filter(number=1).update(created_at=HOUR_AGO - timedelta(days=9))
    for number in (3, 11):
        tree.file(number)
    assert [number for _, number in found(Scope(first=2, last=4))] == [2, 3, 4]
    since = Scope(since=HOUR_AGO - timedelta(days=1))
    assert found(since) == [(Kind.RUN_WITHOUT_FILE, 10), (Kind.FILE_WITHOUT_RUN, 11)]
    # What was not looked at is not settled.
    assert (Kind.FILE_WITHOUT_RUN, 3) in still_open()


def test_a_gap_that_reaches_over_the_ends_of_what_is_asked_for_is_seen(tree: Tree) -> None:
    tree.both(1, 6)
    tree.file(9)
    assert found(Scope(first=3, last=4)) == [(Kind.NUMBER_MISSING, 3), (Kind.NUMBER_MISSING, 4)]
    assert found(Scope(first=7, last=7)) == [(Kind.NUMBER_MISSING, 7)]
    assert len(still_open()) == 3
    assert found(Scope(first=10)) == []


def test_the_daily_look_at_all_instruments(tree: Tree) -> None:
    tree.both(1, 3)
    Instrument.objects.create(name="cncs", facility="SNS")
    assert daily_task() == 1
    assert [each.number for each in open_discrepancies(instrument="ARCS", limit=9)] == [2]


def test_a_hundred_thousand_files_take_seconds_and_one_question(tree: Tree) -> None:
    tree.both(1)
    folder = tree.arcs / "IPTS-1" / "nexus"
    for number in range(2, 100_001):
        os.close(os.open(folder / f"ARCS_{number}.nxs.h5", os.O_CREAT | os.O_WRONLY))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflow_run (instrument_id, number, proposal_id, data_file, "
            "data_ready_at) SELECT instrument_id, n, proposal_id, '/x', created_at "
            "FROM workflow_run, generate_series(2, 99990) AS n"
        )
    began = time.monotonic()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert found() == []  # the ten files without a run are too young
    assert time.monotonic() - began < 10
    assert len(queries) <= 7


def output_of(*words: str) -> str:
    out = io.StringIO()
    call_command("reconcile", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_tells_what_it_found(tree: Tree) -> None:
    tree.both(1, 3)
    path = tree.file(4)
    assert output_of("arcs").splitlines() == [
        "         2  number missing",
        f"         4  file without run  {path}",
        "ARCS: 2 open, 0 settled, 0 adopted.",
    ]
    content = json.loads(output_of("ARCS", "--json", "--runs", "4"))
    assert content["open"] == [{"kind": "file without run", "number": 4, "data_file": path}]
    assert output_of("ARCS", "--adopt").splitlines() == [
        "         2  number missing",
        "         4  adopted",
        "ARCS: 1 open, 1 settled, 1 adopted.",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cncs"], "No instrument CNCS is known; --adopt makes it."),
        (["../etc", "--adopt"], "'../etc' is not the name of an instrument."),
        (["cncs", "--adopt"], "is the file server there"),
        (["arcs", "--runs", "7-3"], "is not a range of run numbers"),
        (["arcs", "--runs", "²"], "is not a range"),
        (["arcs", "--since", "yesterday"], "is not a day"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tree: Tree, words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence.replace(".", r"\.")):
        output_of(*words)
