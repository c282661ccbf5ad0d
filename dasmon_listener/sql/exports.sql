-- Series as they are written to a file; times are said in UTC.

-- name: wanted
SELECT s.id FROM dasmon_series AS s
WHERE s.name = ANY(%(names)s) AND s.kind = %(kind)s
    AND (%(instrument)s::bigint IS NULL OR s.instrument_id = %(instrument)s::bigint)
ORDER BY s.name, s.id

-- name: raw
-- Series by series in the order of time, so that nothing is sorted.
SELECT {name} AS name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time,
    x.value, {text} AS text, x.status
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, value, text, status FROM dasmon_sample
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: minute
SELECT {name} AS name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS time,
    x.minimum, x.maximum, x.mean, x.last, x.count
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, minimum, maximum, mean, last, count FROM dasmon_minute
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: hour
SELECT {name} AS name, to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS time,
    x.minimum, x.maximum, x.mean, x.last, x.count
FROM unnest({series}::int[]) WITH ORDINALITY AS wanted (id, place)
JOIN dasmon_series AS s ON s.id = wanted.id
CROSS JOIN LATERAL (
    SELECT at, minimum, maximum, mean, last, count FROM dasmon_hour
    WHERE series_id = wanted.id AND at >= {begin} AND at < {end} ORDER BY at
) AS x

-- name: csv_name
-- A cell that begins like this is a formula to a spreadsheet, and names and texts are of strangers.
CASE WHEN left(s.name, 1) IN ('=', '+', '-', '@', E'\t', E'\r') THEN '''' || s.name ELSE s.name END

-- name: csv_text
-- The text of a number is none: it may begin with a sign.
CASE WHEN x.value IS NULL AND left(x.text, 1) IN ('=', '+', '-', '@', E'\t', E'\r')
    THEN '''' || x.text ELSE x.text END

-- name: as_csv
COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)

-- name: as_json
-- A line for each row. JSON holds neither of these characters as such, so nothing is quoted twice.
COPY (SELECT row_to_json(row) FROM ({rows}) AS row)
TO STDOUT WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
