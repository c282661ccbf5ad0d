-- name: managers
-- The workflow managers, as they last told.
SELECT
    name, now() - seen_at AS age, seen_at, started_at, is_connected, handled, last_message_at,
    lag_seconds
FROM workflow_manager_process ORDER BY name

-- name: agents
-- The agents that were heard of late, each with the number of jobs that it has.
WITH running AS (
    SELECT agent, count(*) AS jobs FROM workflow_job
    WHERE lease_until IS NOT NULL AND phase = 2 GROUP BY agent
)
SELECT
    agent.name, now() - agent.seen_at AS age, agent.seen_at, agent.first_seen_at, agent.lost_at,
    agent.pid, agent.slots, coalesce(running.jobs, 0)
FROM workflow_agent AS agent
LEFT JOIN running ON running.agent = agent.name
WHERE agent.seen_at > now() - interval '30 days'
ORDER BY agent.name

-- name: queues
-- The open jobs of each queue. Those that were moved in have no lease: nobody awaits them. Three
-- parts, because an index holds just each of them.
WITH open AS (
    SELECT queue, phase, is_held, requested_at FROM workflow_job WHERE lease_until IS NOT NULL
    UNION ALL
    SELECT queue, phase, is_held, requested_at FROM workflow_job
    WHERE is_held AND batch_id IS NULL AND lease_until IS NULL AND cancelled_at IS NULL
    UNION ALL
    SELECT queue, phase, is_held, requested_at FROM workflow_job
    WHERE is_held AND batch_id IS NOT NULL AND lease_until IS NULL AND cancelled_at IS NULL
)
SELECT
    queue,
    count(*) FILTER (WHERE is_held) AS held,
    count(*) FILTER (WHERE NOT is_held AND phase = 1) AS waiting,
    count(*) FILTER (WHERE phase = 2) AS running,
    min(requested_at) FILTER (WHERE phase = 1) AS oldest_waiting_at
FROM open
GROUP BY queue ORDER BY queue

-- name: outbox
-- How much waits to be sent, and since when.
SELECT count(*), min(created_at) FROM workflow_outbox

-- name: what_is_stuck
-- What waits to be sent, since when, and how many rejected messages nobody has settled.
SELECT count(*), min(created_at), (
    SELECT count(*) FROM workflow_rejected_message WHERE outcome = %(open)s
)
FROM workflow_outbox
