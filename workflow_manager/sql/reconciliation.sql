-- name: first_since
-- The number from which on an instrument's runs are of that time.
SELECT coalesce(
    min(number) FILTER (WHERE created_at >= %(since)s), max(number) + 1, 0
) FROM workflow_run WHERE instrument_id = %(instrument_id)s

-- name: neighbours
-- The nearest numbers of runs outside of a range: a gap may reach over its ends.
SELECT
    (SELECT max(number) FROM workflow_run
     WHERE instrument_id = %(instrument_id)s AND number < %(first)s),
    (SELECT min(number) FROM workflow_run
     WHERE instrument_id = %(instrument_id)s AND number > %(last)s)

-- name: differences
-- Where the numbers of files and runs disagree: only those rows leave the database. `previous` is
-- the next lower number that is known in any way. Nothing is missing before it had its time.
WITH file AS (SELECT unnest(%(numbers)s::int[]) AS number),
run AS (
    SELECT number, data_file, data_ready_at, created_at FROM workflow_run
    WHERE instrument_id = %(instrument_id)s AND number BETWEEN %(first)s AND %(last)s
),
known AS (
    SELECT
        number,
        run.number IS NULL AS is_without_run,
        file.number IS NULL AND run.data_file <> ''
            AND run.data_ready_at < %(before)s AS is_without_file,
        coalesce(run.data_file, '') AS data_file,
        coalesce(run.created_at < %(before)s, true) AS is_old,
        lag(number) OVER (ORDER BY number) AS previous
    FROM file FULL JOIN run USING (number)
)
SELECT number, is_without_run, is_without_file, data_file, is_old, previous FROM known
WHERE is_without_run OR is_without_file OR previous < number - 1
ORDER BY number

-- name: note
-- Keeps what was found; what had been settled and is there again was found now.
INSERT INTO workflow_discrepancy AS known (instrument_id, number, kind, data_file)
SELECT %(instrument_id)s, * FROM unnest(
    %(numbers)s::int[], %(kinds)s::text[], %(data_files)s::text[]
)
ON CONFLICT (instrument_id, number, kind) DO UPDATE SET
    data_file = excluded.data_file,
    found_at = CASE WHEN known.settled_at IS NULL THEN known.found_at ELSE now() END,
    settled_at = NULL
WHERE known.settled_at IS NOT NULL OR known.data_file <> excluded.data_file

-- name: settle
-- What was looked for in this range and not found any more.
UPDATE workflow_discrepancy AS known SET settled_at = now()
WHERE instrument_id = %(instrument_id)s AND settled_at IS NULL
    AND number BETWEEN %(first)s AND %(last)s
    AND kind = ANY(%(judged)s)
    AND NOT EXISTS (
        SELECT 1 FROM unnest(%(numbers)s::int[], %(kinds)s::text[]) AS found (number, kind)
        WHERE found.number = known.number AND found.kind = known.kind
    )
