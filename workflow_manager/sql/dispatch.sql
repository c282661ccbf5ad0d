-- name: is_anything_held
-- Whether there is work for the dispatcher at all; two indexes hold just these. A batch may be
-- left of which the last job was ended by a report.
SELECT EXISTS (SELECT FROM workflow_job WHERE is_held AND batch_id IS NULL)
    OR EXISTS (SELECT FROM workflow_job WHERE is_held AND batch_id IS NOT NULL)
    OR EXISTS (SELECT FROM workflow_batch WHERE state = 'running')

-- name: only_one
-- Of several managers one does this at a time.
SELECT pg_try_advisory_xact_lock(hashtext('workflow dispatch'))

-- name: bulk_room
-- Jobs of batches that may be with agents at once: of the slots of the agents that live (one for
-- those that do not tell), a part stays free for fresh runs.
SELECT greatest(1, floor(%(share)s * sum(coalesce(slots, 1))))::int FROM workflow_agent
WHERE seen_at > now() - interval '1 minute'
HAVING count(*) > 0

-- name: next
-- The jobs to let go now. An instrument with a limit gets no more than fits under it. Fresh runs
-- go first, in their order; then batches, by priority and in fair shares: the instrument with
-- the fewest of its batch jobs under way is next. A lease tells that a job is under way. What lies
-- in a queue that nobody serves does not hold up all other batches: after half an hour it takes
-- no room.
WITH under_way AS (
    SELECT
        instrument_id, count(*) AS jobs, count(*) FILTER (WHERE batch_id IS NOT NULL) AS bulk,
        count(*) FILTER (
            WHERE batch_id IS NOT NULL
                AND (phase = 2 OR coalesce(sent_at, now()) > now() - interval '30 minutes')
        ) AS bulk_moving
    FROM workflow_job WHERE lease_until IS NOT NULL GROUP BY instrument_id
),
instrument AS (
    SELECT
        known.id, coalesce(under_way.bulk, 0) AS bulk,
        CASE
            WHEN known.jobs_in_flight IS NULL THEN %(most)s
            ELSE greatest(known.jobs_in_flight - coalesce(under_way.jobs, 0), 0)
        END AS room
    FROM workflow_instrument AS known
    LEFT JOIN under_way ON under_way.instrument_id = known.id
),
fresh AS (
    SELECT instrument.id AS instrument_id, job.id, job.priority, job.nth
    FROM instrument
    CROSS JOIN LATERAL (
        SELECT held.id, held.priority,
            row_number() OVER (ORDER BY held.priority DESC, held.id) AS nth
        FROM (
            SELECT id, priority FROM workflow_job
            WHERE instrument_id = instrument.id AND is_held AND batch_id IS NULL
            ORDER BY priority DESC, id LIMIT instrument.room
        ) AS held
    ) AS job
),
waiting AS (
    SELECT
        instrument.id AS instrument_id, instrument.bulk, instrument.room, job.id, batch.priority,
        row_number() OVER (
            PARTITION BY instrument.id ORDER BY batch.priority DESC, batch.id, job.id
        ) AS nth
    FROM workflow_batch AS batch
    CROSS JOIN instrument
    CROSS JOIN LATERAL (
        SELECT id FROM workflow_job
        WHERE batch_id = batch.id AND instrument_id = instrument.id AND is_held
        ORDER BY id LIMIT %(bulk_room)s
    ) AS job
    WHERE batch.state = 'running'
),
bulk AS (
    SELECT waiting.id FROM waiting
    WHERE nth <= room - (
        SELECT count(*) FROM fresh WHERE fresh.instrument_id = waiting.instrument_id
    )
    ORDER BY priority DESC, waiting.bulk + nth, waiting.id
    LIMIT greatest(%(bulk_room)s - (SELECT coalesce(sum(bulk_moving), 0) FROM under_way), 0)
)
(SELECT id FROM fresh ORDER BY priority DESC, nth, id LIMIT %(most)s)
UNION ALL
SELECT id FROM bulk

-- name: lock_runs
-- Runs are locked before their jobs, by everybody and in this order.
SELECT run.id FROM workflow_run AS run
WHERE run.id IN (SELECT run_id FROM workflow_job WHERE id = ANY(%(ids)s))
ORDER BY run.instrument_id, run.number
FOR NO KEY UPDATE

-- name: lock_jobs
-- Those of these jobs that still wait, with all that their messages need.
SELECT
    job.id, job.run_id, job.step, job.attempt, job.queue, job.requested_by, job.requested_at,
    job.priority, job.held_body, instrument.name AS instrument, instrument.facility,
    run.number, run.data_file, proposal.name AS proposal
FROM workflow_job AS job
JOIN workflow_run AS run ON run.id = job.run_id
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
JOIN workflow_proposal AS proposal ON proposal.id = run.proposal_id
WHERE job.id = ANY(%(ids)s) AND job.is_held
ORDER BY job.id
FOR NO KEY UPDATE OF job

-- name: release
-- From now on a report is awaited.
UPDATE workflow_job SET
    is_held = false, held_body = NULL, lease_until = now() + make_interval(secs => %(seconds)s)
WHERE id = ANY(%(ids)s)

-- name: finish_batches
-- A batch of which nothing waits any more is not asked again.
UPDATE workflow_batch AS batch SET state = 'sent', state_changed_at = now(), state_changed_by = ''
WHERE state = 'running' AND NOT EXISTS (
    SELECT FROM workflow_job WHERE batch_id = batch.id AND is_held
)
RETURNING id
