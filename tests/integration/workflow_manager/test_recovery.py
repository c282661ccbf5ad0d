"""What nobody will report of is sent again, a few times, once; the clock is an argument."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.integration.workflow_manager.test_record import arrival, take_in
from workflow_manager.domain import leases
from workflow_manager.domain.presence import Silence
from workflow_manager.domain.recovery import LEAST_RUN
from workflow_manager.domain.steps import Phase
from workflow_manager.models import (
    Agent,
    Event,
    ImportedRun,
    Job,
    OutboxMessage,
    Run,
)
from workflow_manager.recovery import free_jobs_of, recover_overdue

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 3
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SILENT = [Silence("node7", 25.0)]


def agent(name: str = "node7", *, age: float = 0, slots: int | None = 4) -> Agent:
    seen = timezone.now() - timedelta(seconds=age)
    found, _ = Agent.objects.update_or_create(name=name, defaults={"seen_at": seen, "slots": slots})
    return found


def data_ready(*numbers: int) -> None:
    take_in(*(arrival("POSTPROCESS.DATA_READY", f"m{n}", run_number=n) for n in numbers))


def sent(**where: Any) -> None:
    """The relay did its work, now or at the given time before now."""
    OutboxMessage.objects.all().delete()
    Job.objects.filter(sent_at=None, is_held=False, **where).update(sent_at=timezone.now())


def report(queue: str, job: Job, name: str = "node7", **more: Any) -> None:
    identity = {"run_number": job.run.number, "job_id": job.id, "attempt": job.attempt}
    message_id = f"{queue} {job.id} {name} {job.attempt}"
    take_in(arrival(queue, message_id, information=name, **identity, **more))


def reduction(number: int = 1) -> Job:
    jobs = Job.objects.filter(step="reduction", run__number=number).select_related("run")
    return jobs.latest("attempt")


def started(number: int = 1, name: str = "node7", *, before: timedelta = MINUTE) -> Job:
    """A reduction that an agent started some time ago."""
    data_ready(number)
    sent()
    job = reduction(number)
    report("REDUCTION.STARTED", job, name)
    Job.objects.filter(step="cataloguing").update(lease_until=None)
    move_back(before)
    return reduction(number)


def move_back(length: timedelta) -> None:
    """Let time pass, for the database as well."""
    by = {"by": length.total_seconds()}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflow_event SET received_at = received_at - make_interval(secs => %(by)s)",
            by,
        )
        cursor.execute(
            "UPDATE workflow_job SET requested_at = requested_at - length,"
            " sent_at = sent_at - length, started_at = started_at - length,"
            " ended_at = ended_at - length, lease_until = lease_until - length"
            " FROM make_interval(secs => %(by)s) AS length",
            by,
        )


def bodies() -> list[dict[str, Any]]:
    return [json.loads(bytes(each.body)) for each in OutboxMessage.objects.order_by("id")]


def test_the_job_of_a_silent_agent_is_sent_again_whole() -> None:
    """As F3, where the broker does not give the job to another: an agent that acknowledged it."""
    old = started()
    agent(age=30)
    assert free_jobs_of(SILENT, MOST) == 1
    old.refresh_from_db()
    assert (old.phase, old.lease_until) == (Phase.FAILED, None)
    assert old.error.startswith("Agent node7 fell silent at 20")
    assert old.error.endswith(" UTC; the job was sent again as attempt 2.")
    new = reduction()
    assert (new.attempt, new.phase, new.recoveries) == (2, Phase.REQUESTED, 1)
    assert (new.queue, new.priority, new.requested_by) == (old.queue, old.priority, "recovery")
    assert new.reason.startswith("Agent node7 fell silent")
    assert new.lease_until is not None
    [body] = bodies()
    given = Event.objects.get(queue=old.queue, message_id=f"job {old.id}.1").body
    assert body == {**given, "job_id": new.id, "attempt": 2}
    assert body["facility"] == "SNS"
    assert body["src_id"] == "STC_20480"
    assert Run.objects.get().reduction == Phase.REQUESTED
    assert Agent.objects.get().lost_at is not None


def test_the_history_says_so_once_in_the_words_of_the_contract() -> None:
    started()
    agent(age=30)
    for _ in range(3):
        free_jobs_of(SILENT, MOST)
    remark = Event.objects.get(queue="POSTPROCESS.INFO")
    assert remark.information.startswith("Reduction incomplete for arcs_1: Agent node7 fell")
    assert remark.body["information"] == remark.information
    assert Job.objects.filter(step="reduction").count() == 2


def test_web_processes_and_the_relay_are_told() -> None:
    started()
    agent(age=30)
    with psycopg.connect(dsn(), autocommit=True) as listener:
        listener.execute("LISTEN webmon; LISTEN outbox")
        free_jobs_of(SILENT, MOST)
        told = {(each.channel, each.payload) for each in listener.notifies(timeout=5, stop_after=3)}
    assert told == {("webmon", "run arcs/1"), ("webmon", "instrument arcs"), ("outbox", "")}


def dsn() -> str:
    given = connection.get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: given[name] for name in wanted})


def test_an_agent_that_another_manager_hears_is_not_lost() -> None:
    started()
    agent(age=10)
    assert free_jobs_of(SILENT, MOST) == 0
    assert Agent.objects.get().lost_at is None


def test_starting_a_job_is_a_sign_of_life() -> None:
    started(before=timedelta(seconds=10))
    agent(age=3600)
    assert free_jobs_of(SILENT, MOST) == 0


def test_a_job_that_the_broker_gave_to_another_agent_stays_there() -> None:
    """F3: our agent acknowledges last, so its death is the broker's to mend."""
    job = started()
    report("REDUCTION.STARTED", job, "node8")
    agent(age=30)
    agent("node8")
    assert free_jobs_of(SILENT, MOST) == 0
    job.refresh_from_db()
    assert (job.agent, job.attempt, job.phase) == ("node8", 1, Phase.STARTED)
    starts = Event.objects.filter(queue="REDUCTION.STARTED").order_by("id")
    assert [each.information for each in starts] == ["node7", "node8"]


def test_the_same_start_reported_twice_is_one_event() -> None:
    job = started()
    report("REDUCTION.STARTED", job, "node7", again=True)
    assert Event.objects.filter(queue="REDUCTION.STARTED").count() == 1


def test_f7_a_stopped_agent_that_wakes_changes_only_its_own_attempt() -> None:
    old = started()
    agent(age=30)
    free_jobs_of(SILENT, MOST)
    sent()
    new = reduction()
    report("REDUCTION.STARTED", new, "node8")
    report("REDUCTION.COMPLETE", old, "node7")
    assert Run.objects.get().reduction == Phase.STARTED
    assert not Job.objects.filter(step="reduction_cataloguing").exists()
    report("REDUCTION.COMPLETE", new, "node8")
    assert Run.objects.get().reduction == Phase.DONE
    assert Job.objects.filter(step="reduction_cataloguing").count() == 1
    old.refresh_from_db()
    assert (old.phase, old.agent) == (Phase.DONE, "node7")


def test_after_three_times_it_is_given_up_with_the_reason() -> None:
    started()
    for attempt in range(1, 5):
        agent(age=30)
        assert free_jobs_of(SILENT, MOST) == 1
        if attempt < 4:
            sent()
            report("REDUCTION.STARTED", reduction())
            move_back(MINUTE)
    last = reduction()
    assert (last.attempt, last.phase, last.recoveries) == (4, Phase.FAILED, 3)
    assert last.error.startswith("Given up after 3 times of sending it again: Agent node7 fell")
    assert Run.objects.get().reduction == Phase.FAILED
    assert free_jobs_of(SILENT, MOST) == 0


def test_a_wish_of_a_person_begins_the_count_again() -> None:
    test_after_three_times_it_is_given_up_with_the_reason()
    take_in(arrival("REDUCTION.REQUEST", "wish", information="Requested by me"))
    assert (reduction().attempt, reduction().recoveries) == (5, 0)


def test_with_recovery_switched_off_the_attempt_fails_and_says_so() -> None:
    job = started()
    agent(age=30)
    assert free_jobs_of(SILENT, 0) == 1
    job.refresh_from_db()
    assert job.phase == Phase.FAILED
    assert job.error.endswith("it was not sent again, because that is switched off.")
    assert not OutboxMessage.objects.exists()


def test_where_a_newer_attempt_was_asked_for_nothing_is_sent() -> None:
    job = started()
    take_in(arrival("REDUCTION.REQUEST", "wish"))
    sent()
    agent(age=30)
    assert free_jobs_of(SILENT, MOST) == 1
    job.refresh_from_db()
    assert job.error.endswith("; attempt 2 had been asked for meanwhile.")
    assert not OutboxMessage.objects.exists()
    assert Run.objects.get().reduction == Phase.REQUESTED


def test_the_body_is_made_from_the_run_when_history_is_gone() -> None:
    started()
    Event.objects.all().delete()
    agent(age=30)
    free_jobs_of(SILENT, MOST)
    [body] = bodies()
    assert body == {
        "facility": "SNS",
        "instrument": "arcs",
        "ipts": "IPTS-27800",
        "run_number": 1,
        "data_file": "/SNS/ARCS/IPTS-27800/nexus/ARCS_1.nxs.h5",
        "job_id": reduction().id,
        "attempt": 2,
    }


def test_two_managers_at_once_send_once() -> None:
    """F6: both see the same silence at the same moment."""
    for number in range(1, 21):
        started(number)
    agent(age=30)
    ready = threading.Barrier(2)
    freed: list[int] = []

    def manager() -> None:
        ready.wait(timeout=20)
        freed.append(free_jobs_of(SILENT, MOST))
        freed.append(recover_overdue(datetime.now(UTC), MOST))
        connection.close()

    threads = [threading.Thread(target=manager) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sum(freed) == 20
    assert Job.objects.filter(step="reduction", attempt=2).count() == 20
    assert not Job.objects.filter(attempt=3).exists()
    assert len(bodies()) == 20


def test_a_report_that_comes_while_we_decide_keeps_the_attempt() -> None:
    job = started()
    agent(age=30)
    freed: list[int] = []
    with psycopg.connect(dsn()) as other:
        other.execute("SELECT 1 FROM workflow_run FOR UPDATE")

        def manager() -> None:
            freed.append(free_jobs_of(SILENT, MOST))
            connection.close()

        thread = threading.Thread(target=manager)
        thread.start()
        await_waiting_for_lock(other)
        other.execute("UPDATE workflow_job SET lease_until = now() WHERE id = %s", [job.id])
        other.commit()
        thread.join(timeout=20)
    assert freed == [0]
    assert reduction().attempt == 1


def await_waiting_for_lock(other: psycopg.Connection[Any]) -> None:
    with psycopg.connect(dsn(), autocommit=True) as watcher:
        for _ in range(2000):
            [[waiting]] = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))",
                [other.info.backend_pid],
            ).fetchall()
            if waiting:
                return
            watcher.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits for the lock")


# Overdue: running


def history(number: int, *, waiting: timedelta, running: timedelta, name: str = "node7") -> None:
    """Jobs of run 900 onwards that were done, each with these times."""
    run_numbers = range(900, 900 + number)
    data_ready(*run_numbers)
    sent()
    for job in Job.objects.filter(run__number__gte=900).select_related("run"):
        stem = {"cataloguing": "CATALOG.ONCAT", "reduction": "REDUCTION"}[job.step]
        report(f"{stem}.STARTED", job, name)
        report(f"{stem}.COMPLETE", job, name)
    now = timezone.now()
    Job.objects.filter(phase=Phase.DONE).update(
        sent_at=now - waiting - running, started_at=now - running, ended_at=now
    )
    Job.objects.filter(step="reduction_cataloguing").update(lease_until=None)
    sent()


def test_a_job_within_the_times_of_its_instrument_gets_more_time() -> None:
    history(5, waiting=MINUTE, running=HOUR)
    job = started(before=2 * HOUR)
    agent()
    now = timezone.now()
    assert recover_overdue(now, MOST) == 0
    job.refresh_from_db()
    assert job.lease_until is not None
    assert job.started_at is not None
    assert abs(job.lease_until - (job.started_at + 3 * HOUR)) < MINUTE


def test_a_job_that_runs_three_times_too_long_is_sent_again() -> None:
    history(5, waiting=MINUTE, running=HOUR)
    job = started(before=3 * HOUR + MINUTE)
    agent()
    assert recover_overdue(timezone.now(), MOST) == 1
    job.refresh_from_db()
    assert "No end was reported in 3 h 1 min since it started at node7" in job.error
    assert reduction().attempt == 2


def test_the_second_agent_of_a_job_has_its_own_time() -> None:
    history(5, waiting=MINUTE, running=HOUR)
    job = started(before=4 * HOUR)
    report("REDUCTION.STARTED", job, "node8")
    move_back(HOUR)
    assert recover_overdue(timezone.now(), MOST) == 0


def test_a_second_recovery_waits_twice_as_long() -> None:
    job = started(before=LEAST_RUN + MINUTE)
    Job.objects.filter(id=job.id).update(recoveries=1)
    assert recover_overdue(timezone.now(), MOST) == 0
    assert recover_overdue(timezone.now() + LEAST_RUN, MOST) == 1


def test_runs_that_were_moved_in_are_never_touched() -> None:
    job = started(before=HOUR)
    Job.objects.update(lease_until=None)
    ImportedRun.objects.create(source_id=1, run=job.run, statuses=3)
    agent(age=3600)
    assert free_jobs_of(SILENT, MOST) == 0
    assert recover_overdue(timezone.now() + 100 * HOUR, MOST) == 0
    assert reduction().attempt == 1


def test_a_step_of_a_route_is_not_sent_again_and_not_awaited_for_ever() -> None:
    data_ready(1)
    sent()
    Job.objects.filter(step="cataloguing").update(
        step="calvera.raw", queue="CALVERA.RAW.DATA_READY"
    )
    agent()
    assert recover_overdue(timezone.now() + HOUR, MOST) == 0
    other = Job.objects.get(step="calvera.raw")
    assert (other.lease_until, other.phase) == (None, Phase.REQUESTED)
    assert reduction().lease_until is not None


# Overdue: waiting in the broker


def waiting_jobs(*numbers: int, before: timedelta = 2 * HOUR) -> None:
    data_ready(*numbers)
    Job.objects.filter(step="cataloguing").update(lease_until=None)
    sent()
    move_back(before)


def attempts(number: int = 1) -> int:
    return reduction(number).attempt


def test_f9_a_weekend_without_agents_sends_nothing_again() -> None:
    waiting_jobs(1, 2, 3, before=48 * HOUR)
    agent(age=48 * 3600)
    for hours in range(5):
        assert recover_overdue(timezone.now() + hours * HOUR, MOST) == 0
    assert Job.objects.filter(attempt=2).count() == 0


def test_a_long_queue_before_busy_agents_sends_nothing_again() -> None:
    job = started(50, before=3 * HOUR)
    Job.objects.filter(id=job.id).update(lease_until=timezone.now() + 9 * HOUR)
    waiting_jobs(1, 2, 3)
    agent(slots=1)
    assert recover_overdue(timezone.now(), MOST) == 0
    agent(slots=None)
    assert recover_overdue(timezone.now() + HOUR, MOST) == 0


def test_what_is_still_in_the_outbox_waits_there() -> None:
    data_ready(1)
    agent()
    history(3, waiting=MINUTE, running=MINUTE)
    Job.objects.filter(run__number=1).update(sent_at=None)
    assert recover_overdue(timezone.now() + HOUR, MOST) == 0
    assert attempts() == 1


def overtake(number: int, name: str = "node7") -> None:
    """A later run is sent and done, a while ago."""
    data_ready(number)
    sent()
    report("REDUCTION.STARTED", reduction(number), name)
    report("REDUCTION.COMPLETE", reduction(number), name)
    Job.objects.filter(step__in=["cataloguing", "reduction_cataloguing"]).update(lease_until=None)
    sent()


def test_what_a_later_job_overtook_is_sent_again() -> None:
    waiting_jobs(1, before=HOUR)
    overtake(2)
    move_back(11 * MINUTE)
    agent(slots=None)
    assert recover_overdue(timezone.now(), MOST) == 1
    assert attempts() == 2
    assert "jobs that were sent later were started 11 min" in reduction().reason
    assert attempts(2) == 1


def test_jobs_of_one_sending_do_not_overtake_each_other() -> None:
    waiting_jobs(1, 2, before=HOUR)
    Job.objects.update(sent_at=timezone.now() - HOUR)
    report("REDUCTION.STARTED", reduction(2))
    move_back(11 * MINUTE)
    agent(slots=1)
    assert recover_overdue(timezone.now(), MOST) == 0


def test_more_urgent_jobs_may_overtake() -> None:
    waiting_jobs(1, before=HOUR)
    Job.objects.update(priority=1)
    overtake(2)
    Job.objects.filter(run__number=2).update(priority=4)
    move_back(11 * MINUTE)
    agent("stranger")
    assert recover_overdue(timezone.now(), MOST) == 0


def test_another_queue_does_not_overtake() -> None:
    waiting_jobs(1, before=HOUR)
    overtake(2)
    Job.objects.filter(run__number=2).update(queue="REDUCTION.HIMEM.DATA_READY")
    move_back(11 * MINUTE)
    agent(slots=None)
    assert recover_overdue(timezone.now(), MOST) == 0


def test_an_older_agent_may_have_taken_it_while_it_works() -> None:
    busy = started(50, "old", before=MINUTE)
    Job.objects.filter(id=busy.id).update(lease_until=timezone.now() + 9 * HOUR)
    waiting_jobs(1, before=HOUR)
    overtake(2)
    move_back(11 * MINUTE)
    Job.objects.filter(id=busy.id).update(lease_until=timezone.now() + 9 * HOUR)
    agent("old", slots=None)
    assert recover_overdue(timezone.now(), MOST) == 0
    assert recover_overdue(timezone.now() + HOUR, MOST) == 0  # nobody was heard in that hour
    agent("stranger", age=-7200)
    assert recover_overdue(timezone.now() + 2 * HOUR, MOST) == 1


def test_what_a_free_agent_of_that_queue_does_not_take_is_sent_again() -> None:
    history(3, waiting=MINUTE, running=MINUTE)
    move_back(HOUR)
    waiting_jobs(1, before=leases.WAIT + MINUTE)
    agent("stranger", slots=4)
    assert recover_overdue(timezone.now(), MOST) == 0  # it never took from this queue
    agent("node7", slots=4)
    later = timezone.now() + timedelta(minutes=6)
    Agent.objects.update(seen_at=later)
    assert recover_overdue(later, MOST) == 1
    assert "though one was free" in reduction().reason


@pytest.mark.parametrize(("slots", "freed"), [(2, 0), (4, 1), (None, 0)])
def test_free_is_an_agent_with_room_for_this_queue(slots: int | None, freed: int) -> None:
    """Half of its slots may be another queue's; one that does not tell is busy with any job."""
    busy = started(50, before=HOUR)
    waiting_jobs(1, before=leases.WAIT + MINUTE)
    Job.objects.filter(id=busy.id).update(lease_until=timezone.now() + 9 * HOUR)
    agent(slots=slots)
    assert recover_overdue(timezone.now(), MOST) == freed


def test_many_jobs_are_looked_after_with_the_same_number_of_statements() -> None:
    counts = []
    for numbers in (range(1, 6), range(100, 160)):
        data_ready(*numbers)
        sent()
        for number in numbers:
            report("REDUCTION.STARTED", reduction(number))
        move_back(2 * HOUR)
        agent()
        counts.append(statements(lambda: recover_overdue(timezone.now(), MOST)))
        Job.objects.update(lease_until=None)
    assert counts[0] == counts[1]


def statements(work: Any) -> int:
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert work() > 0
    return len(queries)
