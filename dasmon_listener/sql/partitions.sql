-- Samples by day, minutes by month.

-- name: alone
-- One process at a time, until the transaction ends. Then the locks below: to wait long for one
-- would hold up all that is written.
SELECT pg_advisory_xact_lock(hashtext('dasmon_partitions'));
SET LOCAL lock_timeout = '400ms'

-- name: alone_without_rollups
-- A pass of rollups reads all days; it is waited for before the lock is asked for.
SELECT pg_advisory_xact_lock(hashtext('dasmon_rollups')),
    pg_advisory_xact_lock(hashtext('dasmon_partitions'));
SET LOCAL lock_timeout = '400ms'

-- name: partitions
SELECT child.relname
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = %s::regclass ORDER BY child.relname

-- name: days_without
-- The days of what came when they had no partition.
SELECT DISTINCT (at AT TIME ZONE 'UTC')::date FROM dasmon_sample_default
WHERE at >= %s AND at < '9999-01-01'

-- name: months_without
SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM dasmon_minute_default
WHERE at >= %s AND at < '9999-01-01'

-- name: create
-- A table like the others that takes what came for its time and then becomes one of them: the
-- indexes come with that. Only what is written to the default partition waits for it.
LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS);
WITH moved AS (DELETE FROM {default} WHERE at >= {begin} AND at < {end} RETURNING *)
INSERT INTO {name} SELECT * FROM moved;
ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})

-- name: drop
-- PostgreSQL removes the files when the locks are free again.
ALTER TABLE {parent} DETACH PARTITION {name};
DROP TABLE {name}

-- name: forget_samples
-- What came late for days that are not kept, once it cannot be waited for by a rollup any more.
DELETE FROM dasmon_sample_default
WHERE at < %(kept_since)s AND received_at < (
    SELECT received_before - interval '10 min' FROM dasmon_rolled_up WHERE id = 1
)

-- name: forget_minutes
DELETE FROM dasmon_minute_default WHERE at < %(kept_since)s

-- name: forget_latest
-- The newest values of PVs that nobody hears any more and no page shows.
DELETE FROM dasmon_latest AS l USING dasmon_series AS s
WHERE s.id = l.series_id AND s.kind = 0 AND l.received_at <= %(heard_since)s AND NOT EXISTS (
    SELECT FROM dasmon_monitored_pv AS m
    WHERE m.instrument_id = s.instrument_id AND m.name = s.name
)
