-- name: heard
-- The agents that were heard, so many seconds ago; one that speaks again is not lost.
INSERT INTO workflow_agent AS agent (name, pid, slots, seen_at)
SELECT name, pid, slots, now() - make_interval(secs => age)
FROM unnest(%(names)s::text[], %(pids)s::text[], %(slots)s::int[], %(ages)s::float8[])
    AS heard (name, pid, slots, age)
ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    pid = excluded.pid, slots = excluded.slots, seen_at = excluded.seen_at, lost_at = NULL
WHERE agent.seen_at < excluded.seen_at

-- name: at_work
-- The agents that have jobs and were heard at some time.
SELECT name, slots FROM workflow_agent
WHERE name IN (SELECT agent FROM workflow_job WHERE lease_until IS NOT NULL AND phase = 2)

-- name: forget_agents
-- Names that nobody used for long.
DELETE FROM workflow_agent WHERE seen_at < now() - interval '90 days'

-- name: manager
-- What this workflow manager tells of itself.
INSERT INTO workflow_manager_process (
    name, started_at, seen_at, is_connected, handled, last_message_at, lag_seconds
)
VALUES (
    %(name)s, %(started_at)s, now(), %(is_connected)s, %(handled)s, %(last_message_at)s,
    %(lag_seconds)s
)
ON CONFLICT (name) DO UPDATE SET
    started_at = excluded.started_at, seen_at = excluded.seen_at,
    is_connected = excluded.is_connected, handled = excluded.handled,
    last_message_at = excluded.last_message_at, lag_seconds = excluded.lag_seconds

-- name: forget_managers
-- Those that ended.
DELETE FROM workflow_manager_process WHERE seen_at < now() - interval '1 day'
