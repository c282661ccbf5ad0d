-- name: lock_runs
-- The runs of a batch that have data, locked in the order that everybody uses, each with the
-- targets of its instrument's route for the wish (null: no route).
SELECT run.id, run.instrument_id, instrument.name, run.number, route.targets
FROM workflow_run AS run
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
LEFT JOIN workflow_route AS route
    ON route.instrument_id = run.instrument_id AND route.queue = %(queue)s
WHERE run.id = ANY(%(run_ids)s) AND run.data_file <> ''
ORDER BY run.instrument_id, run.number
FOR NO KEY UPDATE OF run

-- name: add_batch
-- One row for the whole wish.
INSERT INTO workflow_batch (
    step, description, requested_by, reason, priority, state, runs, state_changed_by
)
VALUES (
    %(step)s, %(description)s, %(by)s, %(reason)s, %(priority)s, 'running', %(runs)s, %(by)s
)
RETURNING id

-- name: add_jobs
-- The attempts, held here: each follows the newest of its run and step. Two targets of one step
-- are two attempts.
INSERT INTO workflow_job (
    run_id, instrument_id, step, attempt, queue, phase, requested_by, reason, requested_at,
    priority, batch_id, is_held
)
SELECT
    wish.run_id, run.instrument_id, wish.step,
    coalesce(newest.attempt, 0)
        + row_number() OVER (PARTITION BY wish.run_id, wish.step ORDER BY wish.nth),
    wish.queue, %(requested)s, %(by)s, %(reason)s, now(), %(priority)s, %(batch)s, true
FROM unnest(%(run_ids)s::bigint[], %(queues)s::text[], %(steps)s::text[])
    WITH ORDINALITY AS wish (run_id, queue, step, nth)
JOIN workflow_run AS run ON run.id = wish.run_id
LEFT JOIN LATERAL (
    SELECT max(job.attempt) AS attempt FROM workflow_job AS job
    WHERE job.run_id = wish.run_id AND job.step = wish.step
) AS newest ON true
ORDER BY wish.nth

-- name: add_events
-- Each run's history says who asked.
INSERT INTO workflow_event (run_id, queue, message_id, received_at, information, error, body)
SELECT
    run.id, %(queue)s, format('batch %%s run %%s', %(batch)s::bigint, run.id), now(),
    %(information)s, '',
    jsonb_strip_nulls(jsonb_build_object(
        'facility', instrument.facility, 'instrument', instrument.name, 'ipts', proposal.name,
        'run_number', run.number, 'data_file', run.data_file,
        'information', %(information)s::text, 'reason', nullif(%(reason)s, '')::text
    ))
FROM unnest(%(run_ids)s::bigint[]) AS wanted (run_id)
JOIN workflow_run AS run ON run.id = wanted.run_id
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
JOIN workflow_proposal AS proposal ON proposal.id = run.proposal_id

-- name: update_phases
-- The phases of these runs, by their newest attempts that were not cancelled.
UPDATE workflow_run AS run SET
    updated_at = greatest(run.updated_at, now()),
    cataloguing = coalesce(newest.cataloguing, 0),
    reduction = coalesce(newest.reduction, 0),
    reduction_cataloguing = coalesce(newest.reduction_cataloguing, 0)
FROM (
    SELECT
        run_id,
        max(phase) FILTER (WHERE step = 'cataloguing') AS cataloguing,
        max(phase) FILTER (WHERE step = 'reduction') AS reduction,
        max(phase) FILTER (WHERE step = 'reduction_cataloguing') AS reduction_cataloguing
    FROM (
        SELECT DISTINCT ON (run_id, step) run_id, step, phase FROM workflow_job
        WHERE run_id = ANY(%(run_ids)s) AND cancelled_at IS NULL
        ORDER BY run_id, step, attempt DESC
    ) AS attempt
    GROUP BY run_id
) AS newest
WHERE run.id = newest.run_id

-- name: lock_held
-- The runs with jobs of a batch that wait here, locked before the jobs are.
SELECT run.id, instrument.name FROM workflow_run AS run
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
WHERE run.id IN (
    SELECT run_id FROM workflow_job WHERE batch_id = %(batch)s AND is_held
)
ORDER BY run.instrument_id, run.number
FOR NO KEY UPDATE OF run

-- name: cancel_held
-- What has not left never will.
UPDATE workflow_job SET is_held = false, held_body = NULL, cancelled_at = now()
WHERE batch_id = %(batch)s AND is_held

-- name: failed
-- The jobs of a batch that failed and were not tried again since.
SELECT job.run_id, job.queue, job.step FROM workflow_job AS job
JOIN workflow_run AS run ON run.id = job.run_id
WHERE job.batch_id = %(batch)s AND job.phase = %(failed)s AND NOT EXISTS (
    SELECT FROM workflow_job AS later
    WHERE later.run_id = job.run_id AND later.step = job.step AND later.attempt > job.attempt
        AND later.cancelled_at IS NULL
)
ORDER BY run.instrument_id, run.number

-- name: progress
-- How far the jobs of these batches are.
SELECT
    batch_id,
    count(*) FILTER (WHERE is_held) AS held,
    count(*) FILTER (WHERE cancelled_at IS NOT NULL) AS cancelled,
    count(*) FILTER (WHERE phase = 1 AND NOT is_held AND cancelled_at IS NULL) AS sent,
    count(*) FILTER (WHERE phase = 2) AS running,
    count(*) FILTER (WHERE phase = 3) AS failed,
    count(*) FILTER (WHERE phase = 4) AS skipped,
    count(*) FILTER (WHERE phase = 5) AS done
FROM workflow_job WHERE batch_id = ANY(%(batches)s) GROUP BY batch_id
