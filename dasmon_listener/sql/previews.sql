-- name: patience
-- How long a statement of this transaction may take.
SELECT set_config('statement_timeout', %(milliseconds)s, true)

-- name: series
-- The series that a rule is about, and its last sample before a time.
SELECT series.id, sample.at, sample.value, sample.text
FROM dasmon_series AS series
LEFT JOIN LATERAL (
    SELECT at, value, text FROM dasmon_sample
    WHERE series_id = series.id AND at < %(since)s
    ORDER BY at DESC
    LIMIT 1
) AS sample ON true
WHERE series.instrument_id = %(instrument)s AND series.kind = %(kind)s AND series.name = %(name)s

-- name: raw
-- How many samples are kept whole, and the time of the first.
SELECT min(at), count(*) FROM dasmon_sample
WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s

-- name: minutes
-- Minutes of which no sample is kept.
SELECT at, minimum, maximum, last, count FROM dasmon_minute
WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s
ORDER BY at

-- name: count_minutes
SELECT count(*) FROM dasmon_minute
WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s

-- name: against_limits
-- The samples that can make a difference to a rule with limits, in the order of time: the ends of
-- each row of samples that are alike to it (unknown, beyond, well within, or between), and the
-- peaks beyond a limit. Seconds, because a driver takes five times as long to make times of
-- timestamps as for all the rest; a double has the microseconds.
SELECT extract(epoch FROM at)::float8, value, text
FROM (
    SELECT
        at, value, text, likeness, excess,
        lag(likeness) OVER neighbours AS likeness_before,
        lead(likeness) OVER neighbours AS likeness_after,
        lag(excess) OVER neighbours AS excess_before,
        lead(excess) OVER neighbours AS excess_after
    FROM (
        SELECT
            at, value, text,
            CASE
                WHEN value IS NULL OR value = 'NaN' THEN 'unknown'
                WHEN value > %(highest)s OR value < %(lowest)s THEN 'beyond'
                WHEN value BETWEEN %(back_from_low)s AND %(back_from_high)s THEN 'within'
                ELSE 'between'
            END AS likeness,
            greatest(value - %(highest)s, %(lowest)s - value) AS excess
        FROM dasmon_sample
        WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s
    ) AS judged
    WINDOW neighbours AS (ORDER BY at)
) AS placed
WHERE likeness IS DISTINCT FROM likeness_before OR likeness IS DISTINCT FROM likeness_after
    OR likeness = 'beyond' AND excess > excess_before AND excess >= excess_after
ORDER BY at

-- name: changes
-- The samples that differ from the one before: of each half of the time after which the alarm is
-- over the first and the last, as those between change nothing. The one before the last shows that
-- the last is a change; the very first is none, and stands apart.
SELECT extract(epoch FROM at)::float8, value, text
FROM (
    SELECT
        at, value, text, half,
        lag(half) OVER neighbours AS half_before,
        lead(half, 2) OVER neighbours AS half_after_next
    FROM (
        SELECT
            at, value, text,
            CASE WHEN lag(at) OVER neighbours IS NOT NULL THEN date_bin(%(half)s, at, 'epoch') END
                AS half,
            lag(at) OVER neighbours AS at_before, lag(value) OVER neighbours AS value_before,
            lag(text) OVER neighbours AS text_before
        FROM dasmon_sample
        WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s
        WINDOW neighbours AS (ORDER BY at)
    ) AS placed
    WHERE at_before IS NULL OR value IS DISTINCT FROM value_before
        OR value IS NULL AND text IS DISTINCT FROM text_before
    WINDOW neighbours AS (ORDER BY at)
) AS changed
WHERE half IS DISTINCT FROM half_before OR half IS DISTINCT FROM half_after_next
ORDER BY at

-- name: signs_of_life
-- Samples, the first and the last of each half of the time after which a value is stale.
SELECT extract(epoch FROM at)::float8, value, text
FROM (
    SELECT
        at, value, text, half,
        lag(half) OVER neighbours AS half_before, lead(half) OVER neighbours AS half_after
    FROM (
        SELECT at, value, text, date_bin(%(half)s, at, 'epoch') AS half
        FROM dasmon_sample
        WHERE series_id = %(series)s AND at >= %(since)s AND at < %(until)s
    ) AS timed
    WINDOW neighbours AS (ORDER BY at)
) AS placed
WHERE half IS DISTINCT FROM half_before OR half IS DISTINCT FROM half_after
ORDER BY at
