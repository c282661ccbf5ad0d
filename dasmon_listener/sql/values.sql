-- What is known of series now.

-- name: monitored
-- The PVs that an instrument's page shows, in order, each with its newest value if it has one.
SELECT m.name, m.rule_name, s.kind, l.value, l.text, l.status, l.at, l.received_at, s.unit
FROM dasmon_monitored_pv AS m
LEFT JOIN dasmon_series AS s
    ON s.instrument_id = m.instrument_id AND s.kind = 0 AND s.name = m.name
LEFT JOIN dasmon_latest AS l ON l.series_id = s.id
WHERE m.instrument_id = %(instrument)s
ORDER BY m.position, m.id

-- name: known
-- Names that contain a text, in whatever case; those that begin with it first.
SELECT s.name, s.kind, l.at
FROM dasmon_series AS s LEFT JOIN dasmon_latest AS l ON l.series_id = s.id
WHERE s.instrument_id = %(instrument)s AND s.is_recorded
    AND position(lower(%(part)s) IN lower(s.name)) > 0
ORDER BY position(lower(%(part)s) IN lower(s.name)) > 1, s.name, s.kind
LIMIT %(limit)s
