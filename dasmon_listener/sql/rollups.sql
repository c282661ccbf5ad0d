-- Minutes from samples, hours from minutes.

-- name: try
-- One process at a time, until the transaction ends; the others have nothing to do meanwhile.
SELECT pg_try_advisory_xact_lock(hashtext('dasmon_rollups'))

-- name: wait
SELECT pg_advisory_xact_lock(hashtext('dasmon_rollups'))

-- name: means
-- What one pass groups fits into memory; on disk it would take several times as long.
SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true)

-- name: rolled_up_before
SELECT received_before FROM dasmon_rolled_up WHERE id = 1

-- name: minutes
-- The complete minutes of what was received since a moment. No sample is more than a minute ahead
-- of its arrival: of a minute that is not older than that moment, all samples are among them, and as
-- samples never change, the count tells whether one is new. What came late, for older minutes, is
-- looked up: the minute is read whole. Sums count numbers beyond 1e280 as that, so that they neither
-- overflow nor, divided, underflow. Returns how many minutes are new or other than before, and which
-- of them belong to hours that were done.
WITH heard AS (
    SELECT series_id, minute, min(number) AS minimum, max(number) AS maximum,
        sum(least(greatest(number, -1e280), 1e280)) FILTER (WHERE number IS NOT NULL) AS total, count(number) AS numbers,
        max(at) FILTER (WHERE number IS NOT NULL) AS last_at, count(*) AS count,
        max(received_at) AS received_at
    FROM (
        SELECT series_id, at, received_at, date_bin('1 min', at, 'epoch') AS minute,
            CASE WHEN value > '-Infinity' AND value < 'Infinity' THEN value END AS number
        FROM dasmon_sample
        WHERE received_at >= %(since)s AND at >= %(kept_since)s AND at < %(until)s OFFSET 0
    ) AS sample
    GROUP BY series_id, minute
), whole AS (
    SELECT * FROM heard AS h
    WHERE minute >= %(since)s + interval '1 min' AND count IS DISTINCT FROM (
        SELECT m.count FROM dasmon_minute AS m WHERE m.series_id = h.series_id AND m.at = h.minute
    )
), late AS (
    SELECT series_id, minute FROM heard AS h
    WHERE minute < %(since)s + interval '1 min' AND (
        received_at >= minute + interval '2 min' OR (
            SELECT m.count FROM dasmon_minute AS m WHERE m.series_id = h.series_id AND m.at = h.minute
        ) IS NULL
    )
), summed AS (
    SELECT series_id, minute, minimum, maximum, total, numbers, last_at, count FROM whole
    UNION ALL
    SELECT late.series_id, late.minute, s.*
    FROM late CROSS JOIN LATERAL (
        SELECT min(number) AS minimum, max(number) AS maximum,
            sum(least(greatest(number, -1e280), 1e280)) FILTER (WHERE number IS NOT NULL) AS total, count(number) AS numbers,
            max(at) FILTER (WHERE number IS NOT NULL) AS last_at, count(*) AS count
        FROM (
            SELECT at,
                CASE WHEN value > '-Infinity' AND value < 'Infinity' THEN value END AS number
            FROM dasmon_sample
            WHERE series_id = late.series_id
                AND at >= late.minute AND at < late.minute + interval '1 min'
        ) AS sample
    ) AS s
), written AS (
    INSERT INTO dasmon_minute (at, minimum, maximum, mean, last, series_id, count)
    SELECT minute, minimum, maximum, CASE WHEN abs(total) < 1e-280 THEN 0 ELSE total / numbers END, (
        SELECT max(value) FROM dasmon_sample AS s
        WHERE s.series_id = summed.series_id AND s.at = summed.last_at
            AND value > '-Infinity' AND value < 'Infinity'
    ), series_id, count
    FROM summed
    ON CONFLICT (series_id, at) DO UPDATE
    SET minimum = excluded.minimum, maximum = excluded.maximum, mean = excluded.mean,
        last = excluded.last, count = excluded.count
    WHERE dasmon_minute.count < excluded.count
    RETURNING series_id, at
)
SELECT count(*),
    coalesce(array_agg(series_id) FILTER (WHERE at < %(hours_done)s), '{}'),
    coalesce(array_agg(at) FILTER (WHERE at < %(hours_done)s), '{}')
FROM written

-- name: is_complete
-- Whether each sample of a range is counted in a minute and in an hour: to count is a tenth of the
-- work of looking at each.
SELECT samples.size = minutes.size AND minutes.size = hours.size
FROM (
    SELECT count(*) AS size FROM dasmon_sample WHERE at >= %(begin)s AND at < %(end)s
) AS samples, (
    SELECT coalesce(sum(count), 0) AS size FROM dasmon_minute
    WHERE at >= %(begin)s AND at < %(end)s
) AS minutes, (
    SELECT coalesce(sum(count), 0) AS size FROM dasmon_hour WHERE at >= %(begin)s AND at < %(end)s
) AS hours

-- name: hours
-- The hours of all series from `begin` until before `done`, and those that are named. It is asked
-- series by series: the minutes have no index by time alone.
INSERT INTO dasmon_hour (at, minimum, maximum, mean, last, series_id, count)
SELECT h.at, h.minimum, h.maximum, CASE WHEN abs(h.total) < 1e-280 THEN 0 ELSE h.total / h.weight END,
    h.last[2], wanted.id, h.count
FROM (
    SELECT id, %(begin)s::timestamptz AS begin, %(done)s::timestamptz AS done FROM dasmon_series
    UNION ALL
    SELECT DISTINCT id, date_bin('1 hour', at, 'epoch'), date_bin('1 hour', at, 'epoch') + '1 hour'
    FROM unnest(%(series)s::int[], %(minutes)s::timestamptz[]) AS changed (id, at)
    WHERE at < %(begin)s
) AS wanted
CROSS JOIN LATERAL (
    SELECT date_bin('1 hour', m.at, 'epoch') AS at, min(minimum) AS minimum, max(maximum) AS maximum,
        sum(mean * count) AS total, sum(count) FILTER (WHERE mean IS NOT NULL) AS weight,
        max(ARRAY[date_part('epoch', m.at), last]) FILTER (WHERE last IS NOT NULL) AS last,
        sum(count) AS count
    FROM dasmon_minute AS m
    WHERE m.series_id = wanted.id AND m.at >= wanted.begin AND m.at < wanted.done
    GROUP BY date_bin('1 hour', m.at, 'epoch')
) AS h
ON CONFLICT (series_id, at) DO UPDATE
SET minimum = excluded.minimum, maximum = excluded.maximum, mean = excluded.mean,
    last = excluded.last, count = excluded.count
WHERE (dasmon_hour.minimum, dasmon_hour.maximum, dasmon_hour.mean, dasmon_hour.last,
        dasmon_hour.count)
    IS DISTINCT FROM
    (excluded.minimum, excluded.maximum, excluded.mean, excluded.last, excluded.count)

-- name: mark
INSERT INTO dasmon_rolled_up (id, received_before) VALUES (1, %(before)s)
ON CONFLICT (id) DO UPDATE SET received_before = excluded.received_before

-- name: forget_minutes
-- Before they are written again from the samples that are there now.
DELETE FROM dasmon_minute WHERE at >= %(begin)s AND at < %(end)s

-- name: forget_hours
DELETE FROM dasmon_hour WHERE at >= %(begin)s AND at < %(end)s
