"""What a route does, before anybody sets it: asked of the ledger that handles real messages."""

import pytest

from workflow_manager import queues, routes
from workflow_manager.domain import destinations as names
from workflow_manager.domain.rules import INPUT_QUEUES, RULES
from workflow_manager.domain.steps import Step
from workflow_manager.models import Instrument

ARCS = Instrument(name="arcs", facility="SNS")
READY = names.POSTPROCESS_DATA_READY


@pytest.mark.parametrize("queue", INPUT_QUEUES)
def test_without_a_route_the_rules_hold(queue: str) -> None:
    follows = routes.what_follows(ARCS, queue, {})
    assert follows.sent == (RULES[queue].then if queue in RULES else ())
    assert follows.left_out == ()
    assert not follows.is_stopped


@pytest.mark.parametrize(
    ("targets", "left_out", "sentence"),
    [
        (
            [names.CATALOG_JOBS, names.HIGH_MEMORY_REDUCTION_JOBS],
            (),
            "sends CATALOG.ONCAT.DATA_READY, then REDUCTION.HIMEM.DATA_READY",
        ),
        (
            [names.CATALOG_JOBS, names.CALVERA_RAW_JOBS],
            (Step.REDUCTION,),
            "sends CATALOG.ONCAT.DATA_READY, then CALVERA.RAW.DATA_READY; leaves out reduction",
        ),
        (
            [],
            (Step.CATALOGUING, Step.REDUCTION),
            "nothing follows: the run stops there on purpose; leaves out cataloguing, reduction",
        ),
    ],
)
def test_a_route_says_what_it_sends_and_leaves_out(
    targets: list[str], left_out: tuple[str, ...], sentence: str
) -> None:
    follows = routes.what_follows(ARCS, READY, {READY: targets})
    assert follows.sent == tuple(targets)
    assert follows.left_out == left_out
    assert follows.is_stopped == (not targets)
    assert follows.sentence == sentence


def test_a_report_that_is_recorded_only_may_be_given_a_route() -> None:
    queue = names.REDUCTION_STARTED
    assert routes.what_follows(ARCS, queue, {}).sentence == "is recorded; nothing follows"
    follows = routes.what_follows(ARCS, queue, {queue: ["INTERSECT.RAW.DATA_READY"]})
    assert follows.sent == ("INTERSECT.RAW.DATA_READY",)


def test_a_step_that_reports_itself_skipped_is_not_left_out() -> None:
    assert routes.what_follows(ARCS, names.REDUCTION_DISABLED, {}).left_out == ()


def test_a_route_on_a_queue_of_agents_hides_and_sends_nothing() -> None:
    follows = routes.what_follows(ARCS, names.REDUCTION_JOBS, {names.REDUCTION_JOBS: []})
    assert follows.is_for_agents
    assert follows.sent == ()
    assert follows.sentence.endswith("pages do not offer reduction")


@pytest.mark.parametrize(
    ("text", "name"),
    [("A", "A"), (" site.done ", "SITE.DONE"), ("A_1.B2", "A_1.B2"), ("X" * 200, "X" * 200)],
)
def test_names_are_stored_in_capitals(text: str, name: str) -> None:
    assert queues.plain(text, "name") == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no name of one queue"),
        ("/queue/A.B", "without its prefix"),
        ("/topic/A.B", "without its prefix"),
        ("A.*", "no name of one queue"),
        ("A.>", "no name of one queue"),
        ("#", "no name of one queue"),
        ("A..B", "no name of one queue"),
        (".A", "no name of one queue"),
        ("A B", "no name of one queue"),
        ("A\nB", "no name of one queue"),
        ("A;DROP", "no name of one queue"),
        ("Ä", "no name of one queue"),
        ("X" * 201, "201 characters; 200 is the most"),
    ],
)
def test_what_is_no_name_is_said_in_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(queues.RoutingError, match=reason) as caught:
        queues.plain(text, "targets")
    assert caught.value.field == "targets"
    assert str(caught.value).endswith(".")


def test_a_name_that_is_nearly_known_is_offered() -> None:
    assert queues.nearest("ARC", ["ARCS", "HYSA"]) == "; did you mean ARCS?"
    assert queues.nearest("QQQ", ["ARCS", "HYSA"]) == "."
