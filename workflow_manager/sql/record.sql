-- name: known_instruments
-- The instruments among these names, less those whose facility is only now told.
SELECT name, id FROM workflow_instrument
JOIN unnest(%(names)s::text[], %(facilities)s::text[]) AS given (name, facility) USING (name)
WHERE workflow_instrument.facility <> '' OR given.facility = ''

-- name: add_instruments
-- A run message is what makes an instrument known, or tells its facility.
INSERT INTO workflow_instrument (name, facility)
SELECT * FROM unnest(%(names)s::text[], %(facilities)s::text[])
ON CONFLICT (name) DO UPDATE SET facility = excluded.facility
WHERE workflow_instrument.facility = ''

-- name: known_proposals
-- The proposals among these names.
SELECT name, id FROM workflow_proposal WHERE name = ANY(%(names)s::text[])

-- name: add_proposals
-- A run message is what makes a proposal known.
INSERT INTO workflow_proposal (name) SELECT unnest(%(names)s::text[])
ON CONFLICT (name) DO NOTHING

-- name: upsert_runs
-- Creates the runs that are new and locks all of them, in one order for every process, until
-- the transaction ends. A message without a file keeps the file; only the announcement of data
-- moves a run to another proposal.
INSERT INTO workflow_run AS run (instrument_id, number, proposal_id, data_file)
SELECT instrument_id, number, proposal_id, data_file
FROM unnest(
    %(instrument_ids)s::bigint[], %(numbers)s::int[], %(proposal_ids)s::bigint[],
    %(data_files)s::text[]
) AS new (instrument_id, number, proposal_id, data_file)
ORDER BY instrument_id, number
ON CONFLICT (instrument_id, number) DO UPDATE SET
    updated_at = greatest(run.updated_at, now()),
    data_file = coalesce(nullif(excluded.data_file, ''), run.data_file),
    proposal_id = CASE
        WHEN excluded.data_file <> '' AND run.data_ready_at IS NULL THEN excluded.proposal_id
        ELSE run.proposal_id
    END
RETURNING id, instrument_id, number, data_ready_at

-- name: routes
-- Where runs of these instruments go after a message on a queue, if not where the rules say, and
-- whether their jobs are let go one by one.
SELECT instrument.id, instrument.jobs_in_flight IS NOT NULL, route.queue, route.targets
FROM workflow_instrument AS instrument
LEFT JOIN workflow_route AS route ON route.instrument_id = instrument.id
WHERE instrument.id = ANY(%(instrument_ids)s)

-- name: jobs_of_runs
-- All attempts of these runs.
SELECT
    run_id, id AS job_id, step, attempt, queue, phase, requested_by, requested_at, priority,
    started_at, ended_at, agent, error, exit_code, is_held, cancelled_at IS NOT NULL AS is_cancelled,
    lease_until
FROM workflow_job WHERE run_id = ANY(%(run_ids)s)

-- name: known_events
-- Which of these messages were recorded before. Only the last months are opened: what comes again
-- later than that becomes an event again. The bound is a value and not `now()`, so that the months
-- before it are not even planned for; the subquery stays one, so that each message is looked up:
-- small months suggest to read all of them, and they grow.
SELECT given.queue, given.message_id
FROM unnest(%(queues)s::text[], %(message_ids)s::text[]) AS given (queue, message_id)
WHERE EXISTS (
    SELECT FROM workflow_event AS event
    WHERE event.message_id = given.message_id AND event.queue = given.queue
        AND event.received_at >= %(since)s
    OFFSET 0
)

-- name: announced
-- The announcements of these runs, by the digest at the end of their identity.
SELECT run_id, right(message_id, 16), max(received_at) FROM workflow_event
WHERE run_id = ANY(%(run_ids)s) AND queue = %(queue)s AND received_at > now() - interval '62 days'
GROUP BY 1, 2

-- name: new_job_ids
-- Numbers for new jobs: the message to the agent carries them.
SELECT nextval(pg_get_serial_sequence('workflow_job', 'id')) FROM generate_series(1, %(count)s)

-- name: add_jobs
-- New attempts.
INSERT INTO workflow_job (
    run_id, instrument_id, id, step, attempt, queue, phase, requested_by, reason, requested_at,
    priority, started_at, ended_at, agent, error, exit_code, is_held, held_body, lease_until
)
SELECT * FROM unnest(
    %(run_id)s::bigint[], %(instrument_id)s::bigint[], %(id)s::bigint[], %(step)s::text[],
    %(attempt)s::int[], %(queue)s::text[], %(phase)s::smallint[], %(requested_by)s::text[],
    %(reason)s::text[], %(requested_at)s::timestamptz[], %(priority)s::smallint[],
    %(started_at)s::timestamptz[], %(ended_at)s::timestamptz[], %(agent)s::text[],
    %(error)s::text[], %(exit_code)s::int[], %(is_held)s::boolean[], %(held_body)s::jsonb[],
    %(lease_until)s::timestamptz[]
)

-- name: lock_jobs
-- Everybody who changes several jobs locks them first, by number: so nobody waits in a circle.
SELECT 1 FROM workflow_job WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: update_jobs
-- What reports changed of attempts that were there.
UPDATE workflow_job AS job SET
    phase = new.phase, started_at = new.started_at, ended_at = new.ended_at, agent = new.agent,
    error = new.error, exit_code = new.exit_code, lease_until = new.lease_until
FROM unnest(
    %(id)s::bigint[], %(phase)s::smallint[], %(started_at)s::timestamptz[],
    %(ended_at)s::timestamptz[], %(agent)s::text[], %(error)s::text[], %(exit_code)s::int[],
    %(lease_until)s::timestamptz[]
) AS new (id, phase, started_at, ended_at, agent, error, exit_code, lease_until)
WHERE job.id = new.id

-- name: add_events
-- The facts: what was received, and what is being sent. A run's events are looked for between
-- its own times, give or take a day; where clocks or an outage bring others, its times give way.
WITH new AS (
    INSERT INTO workflow_event (
        run_id, queue, message_id, received_at, sent_at, job_id, information, error, body
    )
    SELECT * FROM unnest(
        %(run_id)s::bigint[], %(queue)s::text[], %(message_id)s::text[],
        %(received_at)s::timestamptz[], %(sent_at)s::timestamptz[], %(job_id)s::bigint[],
        %(information)s::text[], %(error)s::text[], %(body)s::jsonb[]
    )
    RETURNING run_id, received_at
)
UPDATE workflow_run AS run SET
    created_at = least(run.created_at, told.first),
    updated_at = greatest(run.updated_at, told.last)
FROM (
    SELECT run_id, min(received_at) AS first, max(received_at) AS last FROM new GROUP BY run_id
) AS told
WHERE run.id = told.run_id AND (
    told.first < run.created_at - interval '1 day' OR told.last > run.updated_at + interval '1 day'
)

-- name: add_outbox
-- What the committed change wants sent, in order.
INSERT INTO workflow_outbox (destination, body, job_id, priority)
SELECT * FROM unnest(
    %(destination)s::text[], %(body)s::bytea[], %(job_id)s::bigint[], %(priority)s::smallint[]
)

-- name: update_runs
-- The phases of each run, by its newest attempts.
UPDATE workflow_run AS run SET
    data_ready_at = new.data_ready_at, updated_at = greatest(run.updated_at, now()),
    cataloguing = new.cataloguing,
    reduction = new.reduction, reduction_cataloguing = new.reduction_cataloguing
FROM unnest(
    %(id)s::bigint[], %(data_ready_at)s::timestamptz[], %(cataloguing)s::smallint[],
    %(reduction)s::smallint[], %(reduction_cataloguing)s::smallint[]
) AS new (id, data_ready_at, cataloguing, reduction, reduction_cataloguing)
WHERE run.id = new.id

-- name: reject
-- Keeps what could not be handled, once.
INSERT INTO workflow_rejected_message (
    identity, destination, message_id, headers, body, reason
)
SELECT * FROM unnest(
    %(identity)s::text[], %(destination)s::text[], %(message_id)s::text[], %(headers)s::jsonb[],
    %(body)s::bytea[], %(reason)s::text[]
)
ON CONFLICT (identity) DO NOTHING

-- name: notify
-- Tells every web process which keys changed; they read again what they show.
SELECT pg_notify(%(channel)s, key) FROM unnest(%(keys)s::text[]) AS key
