-- How the listener is, and how long the disk lasts.

-- name: processes
SELECT name, started_at, alive_at, extract(epoch FROM clock_timestamp() - alive_at)::float8,
    is_active, is_connected, messages, values, shed, unread, waiting, lag,
    values / greatest(extract(epoch FROM alive_at - started_at), 1)::float8
FROM dasmon_listener_process
WHERE alive_at > clock_timestamp() - interval '1 day'
ORDER BY name

-- name: troubles
-- Unread messages of the last day, and gaps of the last day: how many, how many values, how long.
SELECT
    (SELECT coalesce(sum(times), 0)::bigint FROM dasmon_unread_message
        WHERE last_at > clock_timestamp() - interval '1 day'),
    count(*), coalesce(sum(lost), 0)::bigint,
    coalesce(sum(ended_at - began_at), interval '0')
FROM dasmon_gap WHERE ended_at > clock_timestamp() - interval '1 day'

-- name: sizes
-- Bytes with indexes of each part of the history, and the table that it belongs to.
SELECT parent.relname, child.relname, pg_total_relation_size(child.oid)
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.oid IN ('dasmon_sample'::regclass, 'dasmon_minute'::regclass)
UNION ALL
SELECT relname, relname, pg_total_relation_size(oid) FROM pg_class
WHERE oid = 'dasmon_hour'::regclass
ORDER BY 1, 2

-- name: surroundings
-- Series heard within a day; bytes of an hour of one; the folder of the data, if we may know it.
SELECT
    (SELECT count(*) FROM dasmon_latest WHERE received_at > %(now)s - interval '1 day'),
    (SELECT CASE WHEN reltuples > 1000 THEN pg_total_relation_size(oid) / reltuples::float8
        ELSE 120 END FROM pg_class WHERE oid = 'dasmon_hour'::regclass),
    (SELECT setting FROM pg_settings WHERE name = 'data_directory')
