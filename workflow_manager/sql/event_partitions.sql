-- name: alone
-- One process at a time, until the transaction ends. Then the locks below, which those who write
-- take in the same order; to wait long for one would hold up all of them.
SELECT pg_advisory_xact_lock(hashtext('workflow_event'));
SET LOCAL lock_timeout = '500ms'

-- name: partitions
-- The partitions of months, by name.
SELECT child.relname
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'workflow_event'::regclass AND child.relname ~ '_[0-9]{4}_[0-9]{2}$'
ORDER BY child.relname

-- name: months_without
-- The months of events that came when their month had no partition.
SELECT DISTINCT date_trunc('month', received_at AT TIME ZONE 'UTC')::date
FROM workflow_event_default
WHERE received_at >= '1000-01-01' AND received_at < '9999-12-01'

-- name: create
-- A table like the others that takes what came for its month and then becomes one of them: the
-- indexes and foreign keys come with that.
LOCK TABLE workflow_run, workflow_job IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE workflow_event_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {name} (LIKE workflow_event INCLUDING DEFAULTS);
WITH moved AS (
    DELETE FROM workflow_event_default
    WHERE received_at >= {begin} AND received_at < {end} RETURNING *
)
INSERT INTO {name} SELECT * FROM moved;
ALTER TABLE workflow_event ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})

-- name: drop
-- A whole month. PostgreSQL removes the files when the locks are free again.
LOCK TABLE workflow_run, workflow_job IN ACCESS EXCLUSIVE MODE;
ALTER TABLE workflow_event DETACH PARTITION {name};
DROP TABLE {name}
