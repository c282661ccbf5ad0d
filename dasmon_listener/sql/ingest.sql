-- What the listener writes: one batch is one transaction.

-- name: instruments
-- Which of these exist.
SELECT name, id FROM workflow_instrument WHERE name = ANY(%(names)s)

-- name: new_instruments
-- Only what is missing is inserted, so that no numbers are used up.
INSERT INTO workflow_instrument (name, facility)
SELECT name, facility FROM unnest(%(names)s::text[], %(facilities)s::text[]) AS new (name, facility)
ON CONFLICT (name) DO NOTHING

-- name: series
-- Which of these exist, and which are to be kept.
SELECT series.instrument_id, series.kind, series.name, series.id, series.is_recorded
FROM unnest(%(instruments)s::bigint[], %(kinds)s::smallint[], %(names)s::text[])
    AS wanted (instrument_id, kind, name)
JOIN dasmon_series series USING (instrument_id, kind, name)

-- name: new_series
INSERT INTO dasmon_series (instrument_id, kind, name)
SELECT instrument_id, kind, name
FROM unnest(%(instruments)s::bigint[], %(kinds)s::smallint[], %(names)s::text[])
    AS new (instrument_id, kind, name)
ORDER BY instrument_id, kind, name
ON CONFLICT (instrument_id, kind, name) DO NOTHING

-- name: status_value_counts
SELECT instrument_id, count(*) FROM dasmon_series
WHERE kind = 1 AND instrument_id = ANY(%(instruments)s)
GROUP BY instrument_id

-- name: unrecorded
SELECT id FROM dasmon_series WHERE NOT is_recorded

-- name: samples
COPY dasmon_sample (at, value, series_id, status, text) FROM STDIN

-- name: latest
-- The newest by the sender's clock wins; one whose clock was ahead is overtaken after a minute.
INSERT INTO dasmon_latest AS old (series_id, at, received_at, value, text, status)
SELECT *
FROM unnest(
    %(series)s::int[], %(at)s::timestamptz[], %(received_at)s::timestamptz[],
    %(values)s::float8[], %(texts)s::text[], %(statuses)s::int[]
) AS new (series_id, at, received_at, value, text, status)
ORDER BY series_id
ON CONFLICT (series_id) DO UPDATE
SET at = excluded.at, received_at = excluded.received_at, value = excluded.value,
    text = excluded.text, status = excluded.status
WHERE excluded.at >= old.at OR excluded.received_at > old.received_at + interval '60 seconds'

-- name: components
INSERT INTO dasmon_component AS old (instrument_id, name, status, pid, heard_at, period, is_expected)
SELECT instrument_id, name, status, coalesce(pid, ''), heard_at, period, true
FROM unnest(
    %(instruments)s::bigint[], %(names)s::text[], %(statuses)s::text[], %(pids)s::text[],
    %(heard_at)s::timestamptz[], %(periods)s::interval[]
) AS new (instrument_id, name, status, pid, heard_at, period)
ORDER BY instrument_id, name
ON CONFLICT (instrument_id, name) DO UPDATE
SET status = excluded.status, pid = CASE excluded.pid WHEN '' THEN old.pid ELSE excluded.pid END,
    heard_at = greatest(old.heard_at, excluded.heard_at), period = excluded.period

-- name: answers
-- An answer is a sign of life too; how often signs come is told by heartbeats only.
INSERT INTO dasmon_component AS old (
    instrument_id, name, status, pid, heard_at, period, is_expected, answered_at, answer_delay
)
SELECT instrument_id, name, status, pid, heard_at, period, true, heard_at, delay
FROM unnest(
    %(instruments)s::bigint[], %(names)s::text[], %(statuses)s::text[], %(pids)s::text[],
    %(heard_at)s::timestamptz[], %(periods)s::interval[], %(delays)s::interval[]
) AS new (instrument_id, name, status, pid, heard_at, period, delay)
ORDER BY instrument_id, name
ON CONFLICT (instrument_id, name) DO UPDATE
SET heard_at = greatest(old.heard_at, excluded.heard_at), answered_at = excluded.answered_at,
    answer_delay = excluded.answer_delay

-- name: gap_grown
-- A gap is told again while it grows.
UPDATE dasmon_gap SET ended_at = %(ended_at)s, lost = %(lost)s
WHERE instrument_id IS NOT DISTINCT FROM %(instrument)s
    AND began_at = %(began_at)s AND ended_at >= %(began_at)s AND reason = %(reason)s

-- name: new_gap
INSERT INTO dasmon_gap (instrument_id, began_at, ended_at, lost, reason)
VALUES (%(instrument)s, %(began_at)s, %(ended_at)s, %(lost)s, %(reason)s)

-- name: last_alive
-- Until when surely all that a listener received is written: it may have been killed with what it
-- had in hand, which is as old as its last batch was, and a second.
SELECT max(alive_at - interval '1 second' - coalesce(lag, interval '0')) FROM dasmon_listener_process WHERE is_active

-- name: unread
INSERT INTO dasmon_unread_message AS old (destination, reason, times, first_at, last_at, body)
SELECT destination, reason, times, statement_timestamp(), statement_timestamp(), body
FROM unnest(%(destinations)s::text[], %(reasons)s::text[], %(times)s::bigint[], %(bodies)s::bytea[])
    AS new (destination, reason, times, body)
ORDER BY destination, reason
ON CONFLICT (destination, reason) DO UPDATE
SET times = old.times + excluded.times, last_at = excluded.last_at, body = excluded.body

-- name: forget_unread
DELETE FROM dasmon_unread_message WHERE id IN (
    SELECT id FROM dasmon_unread_message ORDER BY last_at DESC OFFSET %(most)s
)

-- name: try_turn
SELECT pg_try_advisory_lock(hashtext(%(lock)s))

-- name: own_session
SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()

-- name: end_session
-- What is left on the server of a session whose connection broke; what it did is settled then.
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(started_at)s

-- name: tell
INSERT INTO dasmon_listener_process (
    name, started_at, alive_at, is_active, is_connected,
    messages, values, shed, unread, waiting, lag
) VALUES (
    %(name)s, %(started_at)s, clock_timestamp(), %(is_active)s, %(is_connected)s,
    %(messages)s, %(values)s, %(shed)s, %(unread)s, %(waiting)s, %(lag)s * interval '1 second'
)
ON CONFLICT (name) DO UPDATE
SET alive_at = excluded.alive_at, is_active = excluded.is_active,
    is_connected = excluded.is_connected, messages = excluded.messages, values = excluded.values,
    shed = excluded.shed, unread = excluded.unread, waiting = excluded.waiting, lag = excluded.lag

-- name: forget_listeners
DELETE FROM dasmon_listener_process WHERE alive_at < now() - interval '7 days'

-- name: changed_pvs
-- Whose PVs were written since a moment, by whomever; and when that was.
SELECT DISTINCT instrument.name
FROM dasmon_latest latest
JOIN dasmon_series series ON series.id = latest.series_id
JOIN workflow_instrument instrument ON instrument.id = series.instrument_id
WHERE latest.received_at > %(since)s AND series.kind = 0

-- name: mark_batch
-- Seen with the batch or not at all. A transaction's number would not tell: a server that died
-- gives the numbers of what it lost to others.
INSERT INTO dasmon_last_batch (id, mark) VALUES (1, %(mark)s)
ON CONFLICT (id) DO UPDATE SET mark = excluded.mark

-- name: is_written
SELECT EXISTS (SELECT FROM dasmon_last_batch WHERE mark = %(mark)s)
