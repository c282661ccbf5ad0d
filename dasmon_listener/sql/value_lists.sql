-- Newest values of PVs, for lists and small plots.

-- name: newest_points
-- For each wanted name the PV of that name, or of that name in another case: its samples since a
-- moment, newest first; the newest 20 if those are fewer than two; without any its newest value.
SELECT wanted.name, point.at, point.value, point.is_history
FROM unnest(%(names)s::text[]) AS wanted (name)
CROSS JOIN LATERAL (
    SELECT id FROM dasmon_series
    WHERE instrument_id = %(instrument)s AND kind = 0 AND lower(name) = lower(wanted.name)
    ORDER BY name <> wanted.name, name
    LIMIT 1
) AS series
CROSS JOIN LATERAL (
    SELECT count(*) >= 2 AS are_enough FROM (
        SELECT FROM dasmon_sample WHERE series_id = series.id AND at >= %(since)s LIMIT 2
    ) AS two
) AS recent
CROSS JOIN LATERAL (
    (
        SELECT at, value, true AS is_history FROM dasmon_sample
        WHERE series_id = series.id AND recent.are_enough AND at >= %(since)s
        ORDER BY at DESC
        LIMIT %(most)s
    )
    UNION ALL
    (
        SELECT at, value, true FROM dasmon_sample
        WHERE series_id = series.id AND NOT recent.are_enough
        ORDER BY at DESC
        LIMIT 20
    )
    UNION ALL
    (
        SELECT at, value, false FROM dasmon_latest
        WHERE series_id = series.id
            AND NOT EXISTS (SELECT FROM dasmon_sample WHERE series_id = series.id)
    )
) AS point
ORDER BY wanted.name, point.at DESC

-- name: texts_between
-- Of each series the newest samples of a time that are texts and no numbers, in their order.
SELECT series.name, date_part('epoch', told.at), told.text
FROM dasmon_series AS series
CROSS JOIN LATERAL (
    SELECT at, text FROM dasmon_sample
    WHERE series_id = series.id AND at >= %(start)s AND at < %(end)s
        AND value IS NULL AND text IS NOT NULL
    ORDER BY at DESC
    LIMIT %(limit)s
) AS told
WHERE series.instrument_id = %(instrument)s AND series.kind = %(kind)s
    AND series.name = ANY(%(names)s)
ORDER BY series.name, told.at
