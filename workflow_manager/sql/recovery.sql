-- name: only_one
-- Of several managers one does this at a time; the others need not wait for it.
SELECT pg_try_advisory_xact_lock(hashtext('workflow recovery'))

-- name: at_silent_agents
-- The jobs of agents that nobody has heard for so many seconds. Starting one was a sign of life
-- too.
SELECT
    job.id, job.run_id, job.lease_until, job.recoveries, job.batch_id, agent.name, agent.seen_at
FROM unnest(%(names)s::text[], %(limits)s::float8[]) AS silent (name, seconds)
JOIN workflow_agent AS agent USING (name)
JOIN workflow_job AS job ON job.agent = agent.name
CROSS JOIN LATERAL (
    SELECT max(received_at) AS at FROM workflow_event
    WHERE job_id = job.id AND queue LIKE '%%.STARTED'
) AS start
WHERE job.lease_until IS NOT NULL AND job.phase = 2 AND job.step = ANY(%(steps)s)
    AND agent.seen_at < now() - make_interval(secs => seconds)
    AND coalesce(start.at, job.started_at) < now() - make_interval(secs => seconds)
ORDER BY job.id LIMIT %(most)s

-- name: lost
-- Agents whose jobs are now given to others.
UPDATE workflow_agent SET lost_at = now() WHERE name = ANY(%(names)s) AND lost_at IS NULL

-- name: overdue
-- The jobs whose lease ended, those that ended first. A job that a second agent started, because
-- the first one died, runs since then.
SELECT
    job.id, job.run_id, job.instrument_id, job.step, job.queue, job.phase, job.agent, job.sent_at,
    job.lease_until, job.recoveries, job.batch_id,
    coalesce(
        (
            SELECT max(received_at) FROM workflow_event
            WHERE job_id = job.id AND queue LIKE '%%.STARTED'
        ),
        job.started_at, job.requested_at
    ) AS began_at
FROM workflow_job AS job
WHERE job.lease_until <= %(now)s
ORDER BY job.lease_until, job.id LIMIT %(most)s

-- name: typical
-- What 95 of 100 of the newest jobs of these instruments and steps needed at most.
SELECT
    given.instrument_id, given.step,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY done.started_at - done.sent_at)
        FILTER (WHERE done.started_at > done.sent_at) AS waiting,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY done.ended_at - done.started_at)
        FILTER (WHERE done.ended_at > done.started_at) AS running
FROM unnest(%(instrument_ids)s::bigint[], %(steps)s::text[]) AS given (instrument_id, step)
CROSS JOIN LATERAL (
    SELECT sent_at, started_at, ended_at FROM workflow_job
    WHERE instrument_id = given.instrument_id AND step = given.step AND phase = 5
    ORDER BY ended_at DESC LIMIT 200
) AS done
GROUP BY given.instrument_id, given.step

-- name: overtaken
-- When the first job started that was sent after each of these, to the same queue and not more
-- urgently. Of jobs that were sent in one transaction nobody knows the order.
WITH waiting AS (
    SELECT id, queue, priority, sent_at FROM workflow_job WHERE id = ANY(%(ids)s)
),
level AS (
    SELECT queue, priority, min(id) AS first_id FROM waiting GROUP BY queue, priority
),
mark AS (
    SELECT queue, priority, sent_at, id, NULL::timestamptz AS started_at FROM waiting
    UNION ALL
    SELECT level.queue, level.priority, job.sent_at, NULL, job.started_at
    FROM level
    JOIN workflow_job AS job
        ON job.queue = level.queue AND job.priority <= level.priority AND job.id > level.first_id
    WHERE job.started_at IS NOT NULL AND job.sent_at IS NOT NULL
)
SELECT id, overtaken_at FROM (
    SELECT id, min(started_at) OVER (
        PARTITION BY queue, priority ORDER BY sent_at DESC, id NULLS LAST
        ROWS UNBOUNDED PRECEDING
    ) AS overtaken_at
    FROM mark
) AS seen
WHERE id IS NOT NULL AND overtaken_at IS NOT NULL

-- name: queues
-- Who reads these queues. An agent serves a queue if it has one of its jobs, or ended one lately.
-- Half of its slots may belong to another queue; one that does not tell has none while it works.
WITH live AS (
    SELECT name, slots FROM workflow_agent
    WHERE seen_at > %(now)s::timestamptz
        - make_interval(secs => CASE WHEN slots IS NULL THEN %(old_late)s ELSE %(late)s END)
),
running AS (
    SELECT agent, queue, count(*) AS jobs, min(started_at) AS oldest, max(started_at) AS newest
    FROM workflow_job WHERE lease_until IS NOT NULL AND phase = 2
    GROUP BY agent, queue
),
done AS (
    SELECT newest.agent, newest.queue, max(newest.started_at) AS newest
    FROM workflow_instrument AS instrument
    CROSS JOIN unnest(%(steps)s::text[]) AS step
    CROSS JOIN LATERAL (
        SELECT agent, queue, started_at FROM workflow_job
        WHERE instrument_id = instrument.id AND workflow_job.step = step.step AND phase = 5
        ORDER BY ended_at DESC LIMIT 50
    ) AS newest
    GROUP BY newest.agent, newest.queue
),
serving AS (
    SELECT agent, queue FROM running UNION SELECT agent, queue FROM done
),
free AS (
    SELECT serving.queue FROM serving
    JOIN live ON live.name = serving.agent
    LEFT JOIN running USING (agent, queue)
    WHERE CASE
        WHEN live.slots IS NULL THEN NOT EXISTS (
            SELECT FROM running AS other WHERE other.agent = serving.agent
        )
        ELSE coalesce(running.jobs, 0) < greatest(1, live.slots / 2)
    END
)
SELECT
    given.queue,
    EXISTS (SELECT FROM live) AS has_agent,
    given.queue IN (SELECT queue FROM free) AS has_free_agent,
    (
        SELECT min(running.oldest) FROM running
        JOIN live ON live.name = running.agent WHERE live.slots IS NULL
    ) AS old_busy_since,
    greatest(
        (SELECT max(newest) FROM running WHERE running.queue = given.queue),
        (SELECT max(newest) FROM done WHERE done.queue = given.queue)
    ) AS last_start_at
FROM unnest(%(queues)s::text[]) AS given (queue)

-- name: extend
-- Until when nothing is done about silence; where nothing will be, no report is awaited (null).
UPDATE workflow_job AS job SET lease_until = new.lease_until
FROM unnest(%(ids)s::bigint[], %(seen)s::timestamptz[], %(until)s::timestamptz[])
    AS new (id, seen, lease_until)
WHERE job.id = new.id AND job.lease_until = new.seen

-- name: lock_runs
-- Runs are locked before their jobs, by everybody and in this order.
SELECT
    run.id AS run_id, run.instrument_id, run.data_ready_at, run.number, run.data_file,
    instrument.name AS instrument, instrument.facility, proposal.name AS proposal
FROM workflow_run AS run
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
JOIN workflow_proposal AS proposal ON proposal.id = run.proposal_id
WHERE run.id = ANY(%(run_ids)s)
ORDER BY run.instrument_id, run.number
FOR NO KEY UPDATE OF run

-- name: sent_bodies
-- What agents were given with these attempts.
SELECT event.job_id, event.body FROM workflow_event AS event
JOIN unnest(%(queues)s::text[], %(message_ids)s::text[]) AS sent (queue, message_id)
    USING (queue, message_id)
WHERE event.job_id IS NOT NULL

-- name: count_recoveries
-- The new attempts know how often in a row that happened, and belong to the same batch.
UPDATE workflow_job AS job SET recoveries = new.recoveries, batch_id = new.batch_id
FROM unnest(%(ids)s::bigint[], %(recoveries)s::smallint[], %(batch_ids)s::bigint[])
    AS new (id, recoveries, batch_id)
WHERE job.id = new.id
