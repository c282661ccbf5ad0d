-- A year of a value each second: what `benchmarks.year` runs.
--
-- A value is a slow movement that changes with the minute, and within the minute one of sixty steps
-- above it. So what a minute and an hour hold follows from the formula, and years of rollups need
-- no samples. The last second of each minute is not the highest one.

-- name: slow
-- The movement of place `n` in the minute that begins at epoch second `m`. It is float8 throughout:
-- arithmetic of numeric takes ten times as long.
CREATE OR REPLACE FUNCTION pg_temp.slow(n int, m float8) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$
    SELECT 300 + 10 * n + 40 * sin(m / 2500000 + n) + 15 * sin(m / 13750)
        + 6 * sin(m / 570 * (1 + n / 8::float8))
        + CASE WHEN (m::bigint / 60 + n * 7919) %% 20011 = 0 THEN 150 ELSE 0 END
$$

-- name: above
-- How far above that it is in second `s` of a minute: from 0 to 59/15.
CREATE OR REPLACE FUNCTION pg_temp.above(n int, s int) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$
    SELECT ((s * 7 + n) %% 60) / 15::float8
$$

-- name: instrument
INSERT INTO workflow_instrument (name, facility) VALUES (%(instrument)s, 'SNS')
ON CONFLICT (name) DO NOTHING

-- name: series
INSERT INTO dasmon_series (instrument_id, kind, name)
SELECT i.id, 0, wanted.name
FROM workflow_instrument AS i, unnest(%(names)s::text[]) AS wanted (name)
WHERE i.name = %(instrument)s
ON CONFLICT DO NOTHING

-- name: forget_places
DROP TABLE IF EXISTS pg_temp.place

-- name: places
CREATE TEMP TABLE place AS
SELECT s.id, wanted.n::int
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, n)
JOIN dasmon_series AS s ON s.name = wanted.name AND s.kind = 0
JOIN workflow_instrument AS i ON i.id = s.instrument_id AND i.name = %(instrument)s

-- name: samples
INSERT INTO dasmon_sample (at, received_at, value, series_id, status)
SELECT t.at, t.at + interval '40 ms', pg_temp.slow(n, m) + pg_temp.above(n, s), place.id, 0
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 s', '1 s') AS t (at)
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM date_trunc('minute', t.at))::float8 AS m,
        extract(second FROM t.at)::int AS s
) AS clock
CROSS JOIN place

-- name: minutes
INSERT INTO dasmon_minute (at, minimum, maximum, mean, last, series_id, count)
SELECT t.at, slow, slow + 59 / 15::float8, slow + 59 / 30::float8, slow + pg_temp.above(n, 59),
    place.id, 60
FROM generate_series(%(begin)s::timestamptz, %(end)s::timestamptz - interval '1 s', '1 min')
    AS t (at)
CROSS JOIN place
CROSS JOIN LATERAL (
    SELECT pg_temp.slow(n, extract(epoch FROM t.at)::float8) AS slow OFFSET 0
) AS movement

-- name: hours
INSERT INTO dasmon_hour (at, minimum, maximum, mean, last, series_id, count)
SELECT date_trunc('hour', m.at, 'UTC'), min(minimum), max(maximum), avg(mean),
    (array_agg(last ORDER BY m.at DESC))[1], place.id, sum(count)
FROM place JOIN dasmon_minute AS m ON m.series_id = place.id
WHERE m.at >= %(begin)s AND m.at < date_trunc('hour', %(end)s::timestamptz, 'UTC')
GROUP BY place.id, date_trunc('hour', m.at, 'UTC')

-- name: latest
INSERT INTO dasmon_latest (series_id, at, received_at, value, status)
SELECT id, at, at + interval '40 ms',
    pg_temp.slow(n, extract(epoch FROM at)::float8 - 59) + pg_temp.above(n, 59), 0
FROM place CROSS JOIN (SELECT %(end)s::timestamptz - interval '1 s' AS at) AS newest
ON CONFLICT (series_id) DO UPDATE SET at = excluded.at, received_at = excluded.received_at,
    value = excluded.value

-- name: rolled_up
INSERT INTO dasmon_rolled_up (id, received_before) VALUES (1, %(end)s)
ON CONFLICT (id) DO UPDATE
SET received_before = greatest(dasmon_rolled_up.received_before, excluded.received_before)
