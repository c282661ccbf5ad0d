-- Series over a range of time: what `selectors.pv_series` reads. Times are seconds since 1970.

-- name: places
-- Each wanted name with its series, or null, and that one's samples per second; and, in each row,
-- since when there are samples and until when they are rolled up. If no instrument is wanted and
-- several have the name, it is the series that was heard last.
SELECT wanted.name, found.id, coalesce(found.rate, 1.0), raw.since, (
    SELECT received_before FROM dasmon_rolled_up WHERE id = 1
)
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, place)
LEFT JOIN LATERAL (
    SELECT s.id, (
        SELECT h.count / 3600::float8 FROM dasmon_hour AS h
        WHERE h.series_id = s.id AND h.at <= %(end)s ORDER BY h.at DESC LIMIT 1
    ) AS rate
    FROM dasmon_series AS s LEFT JOIN dasmon_latest AS l ON l.series_id = s.id
    WHERE s.name = wanted.name AND s.kind = %(kind)s
        AND (%(instrument)s::bigint IS NULL OR s.instrument_id = %(instrument)s::bigint)
    ORDER BY l.at DESC NULLS LAST, s.id LIMIT 1
) AS found ON true
CROSS JOIN (
    SELECT min(to_date(right(child.relname, 10), 'YYYY_MM_DD'))::timestamp AT TIME ZONE 'UTC'
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'dasmon_sample'::regclass AND child.relname ~ '_\d{4}_\d{2}_\d{2}$'
) AS raw (since)
ORDER BY wanted.place

-- name: buckets
-- Hours, minutes and samples, each of a part of the range, put into buckets. Means are weighted by
-- counts. An array of time and value finds the last value without sorting. The mean counts numbers
-- beyond 1e280 as that, so that a sum neither overflows nor, divided, underflows.
SELECT series_id, date_part('epoch', bucket), minimum, maximum,
    CASE WHEN abs(total) < 1e-280 THEN 0 ELSE total / weight END, last[2], count, others
FROM (
    SELECT series_id, date_bin(%(width)s::interval, at, 'epoch') AS bucket,
        min(minimum) AS minimum, max(maximum) AS maximum,
        sum(mean * count) AS total, sum(count) FILTER (WHERE mean IS NOT NULL) AS weight,
        max(ARRAY[date_part('epoch', at), last]) FILTER (WHERE last IS NOT NULL) AS last,
        sum(count) AS count, bool_or(is_other) AS others
    FROM (
        SELECT at, minimum, maximum, mean, last, series_id, count, false AS is_other
        FROM dasmon_hour
        WHERE series_id = ANY(%(series)s::int[]) AND at >= %(hours_begin)s AND at < %(hours_end)s
        UNION ALL
        SELECT at, minimum, maximum, mean, last, series_id, count, false
        FROM dasmon_minute
        WHERE series_id = ANY(%(series)s::int[]) AND at >= %(minutes_begin)s AND at < %(minutes_end)s
        UNION ALL
        SELECT at, number, number,
            CASE WHEN number IS NOT NULL THEN least(greatest(number, -1e280), 1e280) END, number,
            series_id, 1, number IS NULL
        FROM (
            SELECT at, series_id,
                CASE WHEN value > '-Infinity' AND value < 'Infinity' THEN value END AS number
            FROM dasmon_sample
            WHERE series_id = ANY(%(series)s::int[]) AND at >= %(samples_begin)s AND at < %(samples_end)s
        ) AS sample
    ) AS read
    GROUP BY series_id, bucket
) AS bucketed
ORDER BY series_id, bucket

-- name: samples
-- Samples as they are, for series that have few.
SELECT series_id, date_part('epoch', at),
    CASE WHEN value > '-Infinity' AND value < 'Infinity' THEN value END, coalesce(text, value::text)
FROM dasmon_sample
WHERE series_id = ANY(%(series)s) AND at >= %(begin)s AND at < %(end)s
ORDER BY series_id, at, received_at, value

-- name: texts
-- The newest samples that are no finite numbers, so many of each series.
SELECT wanted.id, date_part('epoch', t.at), t.text
FROM unnest(%(series)s::int[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT at, coalesce(text, value::text) AS text, received_at FROM dasmon_sample
    WHERE series_id = wanted.id AND at >= %(begin)s AND at < %(end)s
        AND (value > '-Infinity' AND value < 'Infinity') IS NOT TRUE
    ORDER BY at DESC, received_at DESC LIMIT %(points)s
) AS t
ORDER BY wanted.id, t.at, t.received_at
