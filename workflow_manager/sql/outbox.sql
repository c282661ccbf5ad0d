-- name: oldest
-- The next messages to send; several relays never take the same one. The identity names the row for
-- ever: numbers come again in a database that was restored, but not with the same time.
SELECT id, destination, body, job_id, concat(id, '@', extract(epoch FROM created_at)) AS identity
FROM workflow_outbox
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: sent
-- The broker has them: the rows go, and the jobs know when.
WITH gone AS (DELETE FROM workflow_outbox WHERE id = ANY(%(ids)s) RETURNING job_id)
UPDATE workflow_job SET sent_at = now() FROM gone WHERE workflow_job.id = gone.job_id

-- name: refused
-- The broker will never take it: the attempt failed, and says why.
WITH gone AS (DELETE FROM workflow_outbox WHERE id = %(id)s RETURNING job_id)
UPDATE workflow_job SET phase = %(failed)s, ended_at = now(), error = %(reason)s
FROM gone WHERE workflow_job.id = gone.job_id
