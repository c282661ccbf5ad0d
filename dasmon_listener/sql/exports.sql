-- Series as they are written to a file; times are said in UTC.

-- name: wanted
SELECT s.id FROM dasmon_series AS s
WHERE s.name = ANY(%(names)s) AND s.kind = %(kind)s
    AND (%(instrument)s::bigint IS NULL OR s.instrument_id = %(instrument)s::bigint)
ORDER BY s.name, s.id

-- name: raw
-- Series by series in the order of time, so that nothing is sorted.
SELECT s.name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time,
    x.value, x.text, x.status
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, value, text, status FROM dasmon_sample
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: minute
SELECT s.name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS time,
    x.minimum, x.maximum, x.mean, x.last, x.count
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, minimum, maximum, mean, last, count FROM dasmon_minute
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: hour
SELECT s.name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS time,
    x.minimum, x.maximum, x.mean, x.last, x.count
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, minimum, maximum, mean, last, count FROM dasmon_hour
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: as_csv
COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)

-- name: as_json
-- A line for each row. JSON holds neither of these characters as such, so nothing is quoted twice.
COPY (SELECT row_to_json(row) FROM ({rows}) AS row)
TO STDOUT WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
