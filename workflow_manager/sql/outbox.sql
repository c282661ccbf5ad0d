-- name: oldest
-- The next messages to send, at most so many and so heavy (one is always taken); several relays
-- never take the same one. The identity names the row for ever: numbers come again in a database
-- that was restored, but not with the same time.
WITH taken AS (
    SELECT id, destination, body, job_id, priority,
        concat(id, '@', extract(epoch FROM created_at)) AS identity
    FROM workflow_outbox
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
),
weighed AS (
    SELECT *, sum(length(body)) OVER (ORDER BY id) - length(body) AS weight_before FROM taken
)
SELECT id, destination, body, job_id, priority, identity
FROM weighed WHERE weight_before < %(bytes)s ORDER BY id

-- name: forget
-- The broker has them: the rows go.
DELETE FROM workflow_outbox WHERE id = ANY(%(ids)s)

-- name: sent
-- The jobs know when their messages went; they are locked before, in order.
UPDATE workflow_job SET sent_at = now() WHERE id = ANY(%(job_ids)s)

-- name: refused
-- The broker will never take it: the attempt failed, and says why.
WITH gone AS (DELETE FROM workflow_outbox WHERE id = %(id)s RETURNING job_id)
UPDATE workflow_job SET
    phase = %(failed)s, ended_at = now(), error = %(reason)s, lease_until = NULL
FROM gone WHERE workflow_job.id = gone.job_id AND workflow_job.phase < %(failed)s

-- name: names
-- What web processes know these runs by.
SELECT instrument.name, run.number FROM workflow_run AS run
JOIN workflow_instrument AS instrument ON instrument.id = run.instrument_id
WHERE run.id = ANY(%(run_ids)s)
