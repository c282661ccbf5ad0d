"""Bodies, identities and reports of jobs, without files."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from postprocessing import presence, reports
from postprocessing.agent import KINDS, kinds_for, subscriptions
from postprocessing.config import parse
from postprocessing.reports import Ending
from postprocessing.request import UnreadableBodyError, job_key, read
from workflow_manager.protocol.codec import decode

ROOT = PurePosixPath("/")


def test_a_body_keeps_its_order_and_blanks() -> None:
    content = read(b'{"z": "a  b", "a": 1}')
    assert list(content.items()) == [("z", "a  b"), ("a", 1)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"/SNS/path",
        b"[]",
        b"null",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\udc00"}',
        b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"a": ' * 700 + b"1" + b"}" * 700,
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        read(body)


def test_a_body_may_be_as_deep_as_the_managers() -> None:
    run = b'{"run_number": 1, "instrument": "a", "ipts": "I", "a": '
    body = run + b"[" * 100 + b"]" * 100 + b"}"
    assert read(body) == decode("/queue/Q", body, ROOT).body


def test_job_and_attempt_are_a_jobs_identity_wherever_it_comes_from() -> None:
    job = {"job_id": 1, "attempt": 1}
    first = job_key("/queue/REDUCTION.DATA_READY", "m1", b"x", job)
    assert first == job_key("REDUCTION.DATA_READY", "m2", b"x", job)
    assert first != job_key("REDUCTION.DATA_READY", "m1", b"x", {"job_id": 1, "attempt": 2})
    assert first != job_key("CATALOG.ONCAT.DATA_READY", "m1", b"x", job)


def test_a_manager_that_counts_anew_means_another_job() -> None:
    job = {"job_id": 1, "attempt": 1}
    first = job_key("REDUCTION.DATA_READY", "m1", b'{"run_number": 1}', job)
    assert first != job_key("REDUCTION.DATA_READY", "m1", b'{"run_number": 99}', job)


def test_without_them_a_redelivery_is_known_by_its_message_id() -> None:
    assert job_key("Q", "m1", b"x", {}) == job_key("Q", "m1", b"x", {})
    assert job_key("Q", "m1", b"x", {}) != job_key("Q", "m2", b"x", {})


def test_a_final_report_is_the_received_dictionary_and_more() -> None:
    received = {"run_number": "1", "information": "old", "job_id": 4}
    ending = Ending("REDUCTION.ERROR", error="REDUCTION: a\0b", detail="x" * 70_000, exit_code=3)
    report = reports.ended(received, "node7", ending, datetime.now(UTC))
    assert list(report)[:4] == ["run_number", "information", "job_id", "error"]
    assert report["information"] == "node7"
    assert report["error"] == "REDUCTION: a\ufffdb"
    assert "[… 6000 characters left out …]" in report["error_detail"]
    assert (report["exit_code"], report["agent"]) == (3, "node7")


def test_a_report_that_is_too_large_keeps_what_says_whose_it_is() -> None:
    received = {"run_number": 1, "job_id": 4, "attempt": 1, "data_file": "/" * 5000, "pad": "x"}
    ending = Ending("REDUCTION.ERROR", error="REDUCTION: " + "a" * 9000, detail="b", exit_code=3)
    short = reports.abridged(reports.ended(received, "node7", ending, datetime.now(UTC)))
    kept = {"run_number": 1, "job_id": 4, "attempt": 1, "information": "node7", "exit_code": 3}
    assert {key: short.get(key) for key in kept} == kept
    assert short.keys().isdisjoint({"data_file", "pad", "error_detail"})
    assert short["error"].startswith("REDUCTION: aaa")
    assert "[… 4915 characters left out …]" in short["error"]
    assert short["error"].endswith("the report was too large for the broker and was shortened")


def test_a_success_that_is_too_large_stays_a_success() -> None:
    short = reports.abridged({"run_number": 1, "information": "node7", "pad": "x"})
    said = "node7; the report was too large for the broker and was shortened"
    assert short == {"run_number": 1, "information": said}


def test_ping_without_a_place_for_the_answer() -> None:
    assert presence.answer(b"{}", "a", 5) is None
    for ping in (b"[]", b'{"a": ' * 900 + b"1" + b"}" * 900):
        with pytest.raises(UnreadableBodyError):
            presence.answer(ping, "a", 5)


def test_slots_are_shared_by_the_queues_that_run_scripts() -> None:
    config = parse(
        {
            "amq_user": "u",
            "amq_pwd": "p",
            "brokers": [["a", 1]],
            "processors": [kind.processor for kind in KINDS],
        }
    )
    wanted = subscriptions(kinds_for(config.processors), config)
    assert {each.destination: each.prefetch for each in wanted} == {
        "/queue/CATALOG.ONCAT.DATA_READY": 5,
        "/queue/REDUCTION_CATALOG.DATA_READY": 5,
        "/queue/REDUCTION.DATA_READY": 3,
        "/queue/REDUCTION.HIMEM.DATA_READY": 2,
        "/topic/SNS.COMMON.STATUS.PING": 10,
    }


def test_what_is_not_ours_is_skipped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    names = ["calvera_processor.CalveraProcessor", "nonsense", KINDS[0].processor]
    assert kinds_for(names) == [KINDS[0]]
    assert "not supported yet" in caplog.text
    assert "nonsense in `processors` is not known" in caplog.text
